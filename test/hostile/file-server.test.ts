/**
 * Promise: a virtiofsd, or the server of a root, that its guest has taken over reaches its share and nothing else of the
 * host, and a guest that looks at many files does not use up its descriptors.
 * The attacker has the namespaces and the capabilities of a sandbox's server, and none of its seccomp filter. The
 * victims are the host's files, its network, and a process of another user.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { embedded, system } from '../helpers/connections.js';
import { enterBare, NOT_ENTERED } from '../helpers/enter-bare.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, processesWith, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, REPOSITORY, runSandbox, startSandbox } from '../helpers/run.js';

const UID = 65_534;

/** A directory of a file system that has nothing of /etc. */
function memoryDirectory(t: TestContext): string {
  const directory = mkdtempSync('/dev/shm/virt-sandbox-hostile-');
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A virtiofsd, or the server of a root. */
interface Server {
  readonly pid: number;
  /** The share's path in its mount namespace. */
  readonly share: string;
  readonly status: ReadonlyMap<string, string>;
}

/** What serves a share: what libvirt started, or its child. */
function serverOf(share: string, readOnly: boolean, { isRoot = false, more = '' } = {}): Server {
  const started = processesWith(share)
    .filter((line) => line.includes('--shared-dir') && line.includes('--readonly') === readOnly && line.includes(more))
    .map((line) => Number.parseInt(line, 10))
    .sort((one, other) => one - other);
  // A root's is not executed anew, so both have the same words.
  assert.equal(started.length, isRoot ? 2 : 1, `${share} has one server`);
  const children = readFileSync(`/proc/${started[0]}/task/${started[0]}/children`, 'utf8').trim();
  const pid = children === '' ? started[0] : Number(children);
  const groups = [started[0], pid].map((one) => readFileSync(`/proc/${one}/cgroup`, 'utf8'));
  assert.equal(groups[1], groups[0], 'the control group that libvirt chose');
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  assert.match(words[0] ?? '', isRoot ? /\/root-server$/ : /\/virtiofsd$/);
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n');
  const status = new Map(lines.map((line) => line.split(':\t') as [string, string]));
  return { pid: pid ?? 0, share: isRoot ? '/share' : (words[words.indexOf('--shared-dir') + 1] ?? ''), status };
}

/** Whether a script succeeds in the namespaces of the server of a root, as its user. */
function canInRoot({ pid, status }: Server, script: string, hasUserNamespace = false): boolean {
  const [uid, gid] = ['Uid', 'Gid'].map((key) => Number(status.get(key)?.split('\t')[0]));
  const server = { pid, uid: uid ?? 0, gid: gid ?? 0, hasUserNamespace };
  const [program = '', ...words] = enterBare(server, ['bash', '-c', script]);
  const { status: code, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  assert.notEqual(code, NOT_ENTERED, stderr);
  return code === 0;
}

/** Whether a script succeeds with the namespaces, user and capabilities of a server. */
function can({ pid, status }: Server, script: string): boolean {
  const held = BigInt(`0x${status.get('CapEff')}`);
  const capabilities = Array.from({ length: 41 }, (_, number) => number).filter(
    (number) => (held >> BigInt(number)) & 1n,
  );
  const bounds = ['-all', ...capabilities.map((number) => `+cap_${number}`)].join(',');
  const words = ['--mount', '--pid', '--net', '--ipc', '--uts', '--target', `${pid}`, '--', 'setpriv'];
  const [uid, gid] = ['Uid', 'Gid'].map((key) => status.get(key)?.split('\t')[0]);
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', `--bounding-set=${bounds}`];
  return spawnSync('nsenter', [...words, ...user, '--', 'bash', '-c', script]).status === 0;
}

/** A process of an ordinary user. */
async function victim(t: TestContext): Promise<number> {
  const script = 'echo up; exec sleep 600';
  const child = spawn('setpriv', [`--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

/** The port of a service on this host. */
async function service(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function attacks(t: TestContext): Promise<Record<string, string>> {
  const other = join(memoryDirectory(t), 'file');
  writeFileSync(other, 'text\n', { mode: 0o600 });
  const pid = await victim(t);
  const as = `setpriv --reuid=${UID} --regid=${UID} --clear-groups`;
  return {
    'reads /etc/shadow': 'cat /etc/shadow',
    'reads another directory': `cat ${other}`,
    'writes to another directory': `echo changed >${other}`,
    'writes to its own programs': 'touch /usr/virt-sandbox-hostile && rm /usr/virt-sandbox-hostile',
    'reaches the network': `echo >/dev/tcp/127.0.0.1/${await service(t)}`,
    'sees the processes': `test -e /proc/${pid}/stat && grep -q sleep /proc/${pid}/stat`,
    'signals a process': `${as} kill -0 ${pid} && grep -q sleep /proc/${pid}/stat`,
    'traces a process': `grep -q sleep /proc/${pid}/stat && ${as} head -c 1 /proc/${pid}/maps`,
    // Opens it only. A program named there runs as root of the host.
    "writes to the kernel's settings": ': >>/proc/sys/kernel/core_pattern',
    'opens a device': 'test -e /dev/mem || test -e /dev/null',
  };
}

/**
 * There is nothing in a root's server's root but the share. The attacker brings a root of its own, so what it does not find
 * there says nothing of the server's.
 */
function assertBare({ pid, share }: Server): void {
  assert.deepEqual(readdirSync(`/proc/${pid}/root`), [share.slice(1)]);
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  const elsewhere = mounts.map((line) => line.split(' ')[4] ?? '').filter((at) => !`${at}/`.startsWith(`${share}/`));
  assert.deepEqual(elsewhere, ['/']);
}

/** Keys that users keep in their environment. A server that was taken over reads its own. */
const KEYS = { AWS_SECRET_ACCESS_KEY: 'word-of-a-key', GITHUB_TOKEN: 'word-of-a-token' };

function assertWithoutKeys({ pid }: Server): void {
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  const keys = environment.filter((each) => each.includes('word-of-a'));
  assert.deepEqual(keys, []);
}

function gone({ pid }: Server): boolean {
  return !existsSync(`/proc/${pid}`);
}

for (const way of [embedded, system]) {
  describe(`the virtiofsd of a sandbox over ${way.uri}`, { skip: way.skip || unlessProgram('perl') }, () => {
    it('reaches the share and nothing else', async (t) => {
      const share = memoryDirectory(t);
      writeFileSync(join(share, 'file'), 'content\n');
      const name = uniqueName();
      const mounts = ['-m', `host-bind:/mnt=${share}`, '-m', `host-bind:/opt=${share},ro`];
      const script = 'cat /mnt/file /opt/file; read line';
      const args = ['-c', way.uri, '-n', name, ...mounts, '--', 'sh', '-c', script];
      const running = startSandbox(args, { env: KEYS, input: 'open' });
      t.after(() => running.child.kill('SIGTERM'));
      await running.until(/^content\ncontent\n/);
      const [writer, reader] = [serverOf(share, false), serverOf(share, true)];

      const tried = await attacks(t);
      for (const server of [writer, reader]) {
        assertWithoutKeys(server);
        assert.ok(can(server, `grep -q content ${server.share}/file`), 'the share');
        const worked = Object.keys(tried).filter((attack) => can(server, tried[attack] ?? ''));
        assert.deepEqual(worked, []);
        const device = join(server.share, 'device');
        assert.ok(!can(server, `mknod ${device} c 1 3`), 'a device node');
        assert.ok(!can(server, `mount --bind /usr ${server.share}`), 'a mount');
        for (const kind of ['mnt', 'net', 'pid', 'ipc', 'uts'])
          assert.notEqual(readlinkSync(`/proc/${server.pid}/ns/${kind}`), readlinkSync(`/proc/self/ns/${kind}`), kind);
        assert.equal(server.status.get('NoNewPrivs'), '1');
        assert.equal(server.status.get('CapBnd'), '0000000000000000');
      }
      assert.ok(can(writer, `echo more >>${writer.share}/file`));
      assert.ok(!can(reader, `echo more >>${reader.share}/file`), 'a read-only share');
      assert.ok(!can(reader, `chown 1 ${reader.share}/file`), 'a read-only share');
      // CAP_DAC_READ_SEARCH; and of the writer nothing but that and the six that make and change files.
      assert.equal(reader.status.get('CapEff'), '0000000000000004');
      assert.equal(BigInt(`0x${writer.status.get('CapEff')}`) & ~0xdfn, 0n);

      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
      await assertNothingLeft(name, way.where);
      for (const deadline = Date.now() + 5000; ![writer, reader].every(gone) && Date.now() < deadline; )
        await sleep(50);
      assert.deepEqual([writer, reader].map(gone), [true, true], 'virtiofsd ends with the sandbox');
    });

    it('of the root is nobody, reads what everybody may, and obeys no QEMU', async (t) => {
      const name = uniqueName();
      const args = ['-c', way.uri, '-n', name, '--root-fs', 'virtiofs', '--', 'sh', '-c', 'echo up; read line'];
      const running = startSandbox(args, { env: KEYS, input: 'open' });
      t.after(() => running.child.kill('SIGTERM'));
      await running.until(/^up\n/);
      const server = serverOf(`${name}/root-server`, true, { isRoot: true });
      assertWithoutKeys(server);
      assertBare(server);
      assert.ok(canInRoot(server, `cat ${server.share}/etc/hostname`), 'the share');
      const tried = {
        ...(await attacks(t)),
        'reads what is root’s alone': `head -c 1 ${server.share}/etc/shadow`,
        'sees the processes of the host': `test -e ${server.share}/proc/1 || test -e ${server.share}/run/systemd`,
        'sees the state of sandboxes': `test -e ${server.share}/run/libvirt-sandbox`,
        'writes to the share': `echo >>${server.share}/var/tmp/virt-sandbox-hostile`,
        'mounts something': `mount --bind /usr ${server.share}`,
      };
      assert.deepEqual(
        Object.keys(tried).filter((attack) => canInRoot(server, tried[attack as keyof typeof tried] ?? '')),
        [],
      );
      assert.equal(server.status.get('CapBnd'), '0000000000000000');
      assert.equal(server.status.get('CapEff'), '0000000000000000');
      assert.equal(server.status.get('NoNewPrivs'), '1');
      const qemu = readFileSync(`/proc/${qemuOf(name)}/status`, 'latin1');
      const uid = /^Uid:\t(\d+)/m.exec(qemu)?.[1] ?? '';
      // A QEMU that was taken over, without the filters that it has.
      const asQemu = (script: string) =>
        spawnSync('setpriv', [`--reuid=${uid}`, '--clear-groups', '--', 'bash', '-c', script]).status === 0;
      assert.ok(asQemu(`kill -0 ${qemuOf(name)}`));
      for (const script of [`kill -0 ${server.pid}`, `: >/proc/${server.pid}/mem`, `ls /proc/${server.pid}/fd/`])
        assert.ok(!asQemu(script), script);
      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
      await assertNothingLeft(name, way.where);
    });

    it('makes no device node for its guest', async (t) => {
      const share = memoryDirectory(t);
      const script = 'mkfifo /mnt/pipe && ! mknod /mnt/device c 1 3 2>/dev/null && ls /mnt';
      const args = ['-c', way.uri, '-p', '-m', `host-bind:/mnt=${share}`, '--', 'sh', '-c', script];
      assertRun(await runSandbox(args), 0, 'pipe\n');
    });
  });
}

for (const uri of ['qemu:///session', 'qemu:///embed']) {
  describe(`the server of an ordinary user's root over ${uri}`, {
    skip: unlessOrdinaryUser() || unlessProgram('perl'),
  }, () => {
    it('reads the view and reaches nothing else of the user', async (t) => {
      const user = await OrdinaryUser.create();
      t.after(() => user.end());
      const { uid, gid, home } = user;
      const secret = join(home, 'secret');
      writeFileSync(secret, 'word\n', { mode: 0o600 });
      chownSync(secret, uid, gid);
      const name = uniqueName();
      const args = [
        '-c',
        uri,
        '-n',
        name,
        '--root-fs',
        'virtiofs',
        '--hide',
        secret,
        '--',
        'sh',
        '-c',
        'echo up; read line',
      ];
      const running = startSandbox(args, {
        ...user.options,
        env: { ...user.options.env, ...KEYS },
        input: 'open',
      });
      t.after(() => running.child.kill('SIGTERM'));
      await running.until(/^up\n/);
      const server = serverOf('/dev/root', true, { isRoot: true, more: `/${name}/` });
      assertWithoutKeys(server);
      assertBare(server);
      // The user owns the namespaces, so the attacker enters them as the user, who has no capability there any more.
      const can = (script: string) => canInRoot(server, script, true);
      assert.ok(can(`cat ${server.share}/etc/hostname`), 'the share');
      const tried = {
        ...(await attacks(t)),
        'reads what is hidden': `grep -q word ${server.share}${secret}`,
        'reads it elsewhere': `grep -q word ${secret} || grep -q word /proc/1/root${secret}`,
        'sees the processes of the host': `test -e ${server.share}/proc/1 || test -e ${server.share}/run/lock`,
        'writes to the share': `echo >>${server.share}${home}/virt-sandbox-hostile`,
        'changes a mode': `chmod 600 ${server.share}${home}`,
        'mounts something': `mount --bind /usr ${server.share}`,
        'makes it writable': `mount -o remount,rw ${server.share}`,
      };
      assert.deepEqual(
        Object.keys(tried).filter((attack) => can(tried[attack as keyof typeof tried] ?? '')),
        [],
      );
      assert.equal(server.status.get('CapEff'), '0000000000000000');
      assert.equal(server.status.get('CapBnd'), '0000000000000000');
      assert.equal(server.status.get('CapAmb'), '0000000000000000');
      assert.equal(server.status.get('NoNewPrivs'), '1');
      assert.equal(server.status.get('Seccomp'), '2');
      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
      await assertNothingLeft(name, user.where);
    });
  });
}

/**
 * For a machine, whose root may raise its limits: a script in virtiofsd's place calls open_by_handle_at(2), which is 304
 * on x86_64, with a descriptor that is none. $1: capabilities that share-server does not get.
 */
const HANDLES = `cat >/tmp/fake <<'END'
#!/bin/sh
echo "$@" | grep -o 'inode-file-handles=.*'
ulimit -Hn
exec perl -e 'syscall(304, -1, 0, 0); print "$!\\n"'
END
chmod 755 /tmp/fake
mount --bind /tmp/fake /usr/libexec/virtiofsd
# Without CAP_SYS_ADMIN it keeps the root in which the script is mounted.
setpriv --bounding-set="-sys_admin$1" "$2" --fd=9 --shared-dir /tmp 9</dev/null 2>&1 | grep -v ^share-server`;

describe('file handles, which open every file of a file system', {
  skip: embedded.skip || unlessProgram('perl'),
}, () => {
  // The repository may be in a directory that no sandbox sees.
  const mount = `host-bind:/mnt=${REPOSITORY},ro`;
  const server = '/mnt/dist/native/share-server';
  let answers: string[];
  before(async () => {
    const script = `with_server() {\n${HANDLES}\n}\nwith_server "" "$1"; echo then; with_server ,-sys_resource "$1"`;
    const result = await runSandbox(['-c', embedded.uri, '-p', '-m', mount, '--', 'sh', '-c', script, 'sh', server]);
    assert.deepEqual([result.code, result.stderr], [0, '']);
    answers = result.out.split('then\n');
  });

  it('are refused where the limit of descriptors can be raised', () => {
    assert.equal(answers[0], '1000000\nOperation not permitted\n');
  });

  it('are used elsewhere', () => {
    assert.match(answers[1] ?? '', /^inode-file-handles=prefer\n\d+\nBad file descriptor\n$/);
  });
});

describe('a share of 100,000 files', { skip: embedded.skip }, () => {
  it('is read with 20,000 descriptors', async (t) => {
    const share = memoryDirectory(t);
    // A message tells the guest of all files of so small a directory. In larger ones it has to ask for each.
    const directories = Array.from({ length: 5000 }, (_, number) => String(number));
    const names = Array.from({ length: 20 }, (_, number) => String(number));
    for (const directory of directories) mkdirSync(join(share, directory));
    const paths = directories.flatMap((directory) => names.map((name) => `${directory}/${name}`));
    execFileSync('xargs', ['touch'], { cwd: share, input: paths.join('\n') });
    writeFileSync(join(share, 'last'), 'read\n');
    // find looks at each file for its size.
    const script = 'find /mnt -type f -size -1 | wc -l; cat /mnt/last';
    const args = ['-c', embedded.uri, '--memory', '1G', '-m', `host-bind:/mnt=${share}`, '--', 'sh', '-c', script];
    const through = ['prlimit', '--nofile=20000:20000'];
    const result = await runSandbox(args, { through, timeout: 400_000 });
    assertRun(result, 0, '100000\nread\n');
  });
});

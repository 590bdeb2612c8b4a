/** What the server of a root over virtiofs has the guest keep, and how many files it can show. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { loopDevice, unlessProgram } from '../helpers/images.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const MIB = 1 << 20;

/** The process that serves the root of a sandbox. */
function serverOf(name: string): number {
  const read = (pid: number, file: string) => readFileSync(`/proc/${pid}/${file}`, 'latin1');
  const started = processesWith(join(name, 'root-server')).map((line) => Number.parseInt(line, 10));
  // What has started it has the link among its words too.
  const servers = started.filter((pid) => /^[^\0]*\/root-server\0/.test(read(pid, 'cmdline')));
  const [server] = servers.filter((pid) => read(pid, `task/${pid}/children`).trim() === '');
  return server ?? 0;
}

/** How many bytes it has read so far. */
function bytesRead(server: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${server}/io`, 'latin1'))?.[1]);
}

function mountPoints(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  return lines.map((line) => line.split(' ')[4] ?? '');
}

const withDisk = { skip: unlessProgram('mkfs.ext4', 'debugfs') };

/** A directory that a sandbox sees: not in /tmp, which it has of its own. @param mounted words of mount(8) */
function seenDirectory(t: TestContext, ...mounted: readonly string[]): string {
  const directory = mkdtempSync('/var/tmp/virt-sandbox-root-server-');
  chmodSync(directory, 0o755);
  if (mounted.length > 0) execFileSync('mount', [...mounted, directory]);
  t.after(async () => {
    if (mounted.length > 0) execFileSync('umount', ['--lazy', directory]);
    // Another test may have a copy of all mounts just now, this one among them.
    while (mountPoints().some((point) => point.endsWith(directory))) await sleep(20);
    rmSync(directory, { recursive: true });
  });
  return directory;
}

/**
 * A disk with a file that was changed long ago, mounted.
 * @returns undefined: the host has no loop device to spare
 */
function oldFile(t: TestContext, content: string): { file: string; point: string; image: string } | undefined {
  const directory = scratchDirectory(t);
  writeFileSync(join(directory, 'content'), content);
  const image = join(directory, 'image');
  execFileSync('mkfs.ext4', ['-q', image, '32M']);
  const commands = [
    'write content file',
    'set_inode_field file mtime 20200101',
    'set_inode_field file ctime 20200101',
    'set_inode_field file mode 0100644',
  ];
  execFileSync('debugfs', ['-w', '-f', '-', image], {
    cwd: directory,
    input: `${commands.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const device = loopDevice(t, image);
  if (device === undefined) return undefined;
  const point = seenDirectory(t, device);
  return { file: join(point, 'file'), point, image };
}

describe('the server of a root', { skip: embedded.skip || unlessRoot('it looks at the server') }, () => {
  let usual: UsualSnapshot;
  before(async () => {
    usual = await usualSnapshot();
  });
  after(() => usual?.remove());

  /** A sandbox that answers each line of its input with what a script says. */
  async function start(
    t: TestContext,
    script: string,
    { args = [] as readonly string[], ...more }: RunOptions & { readonly args?: readonly string[] } = {},
  ) {
    const name = uniqueName();
    const answering = `echo up; while read -r line; do ${script}; echo done; done`;
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--root-fs', 'virtiofs', ...args];
    const options = { env: usual.env, ...more, input: 'open' } as const;
    const running = startSandbox([...words, '--', 'sh', '-c', answering], options);
    t.after(() => running.child.kill('SIGKILL'));
    await running.until(/^up$/m);
    let count = 0;
    const ask = async () => {
      const before = running.out().length;
      count += 1;
      running.child.stdin?.write('go\n');
      await running.until(new RegExp(`(?:^done$[^]*){${count}}`, 'm'));
      return running
        .out()
        .slice(before)
        .replace(/done\n$/, '');
    };
    const end = async () => {
      running.child.stdin?.end();
      assert.equal((await running.result).code, 0, running.stderr());
    };
    return { server: serverOf(name), ask, end };
  }

  it('needs no virtiofsd', async () => {
    const places = ['/usr/libexec', '/usr/lib', '/usr/lib/qemu', '/usr/local/libexec', '/usr/bin'];
    const files = places.map((place) => `${place}/virtiofsd`).join(' ');
    const script = `for file in ${files}; do test ! -e $file || mount --bind /dev/null $file; done; exec "$@"`;
    const through = ['unshare', '--mount', '--', 'sh', '-c', script, 'sh'];
    const args = ['-c', embedded.uri, ...ACCEL, '--root-fs', 'virtiofs', '--', 'cat', '/etc/hostname'];
    assertRun(await runSandbox(args, { env: usual.env, through }), 0, readFileSync('/etc/hostname', 'utf8'));
  });

  async function assertReadOnce(t: TestContext, options: RunOptions = {}): Promise<void> {
    const { size, ctimeMs } = statSync('/usr/bin/perl');
    assert.ok(size > MIB);
    const system = execFileSync('stat', ['--file-system', '--format=%T', '/usr/bin/perl'], { encoding: 'utf8' });
    if (!/^(?:ext2\/ext3|xfs|btrfs)$/m.test(system)) return t.skip(`perl is on a file system of the kind ${system}`);
    if (Date.now() - ctimeMs < 120_000) return t.skip('perl has just been installed');
    const { server, ask, end } = await start(t, 'cat /usr/bin/perl | cksum', options);
    const before = bytesRead(server);
    const first = await ask();
    const read = bytesRead(server);
    assert.ok(read - before >= size, `${read - before} of ${size} bytes`);
    assert.equal(await ask(), first);
    const again = bytesRead(server) - read;
    assert.ok(again < size / 10, `${again} bytes the second time`);
    await end();
  }

  it('has a program read once', (t) => assertReadOnce(t));

  it('has it read once for an ordinary user too', { skip: unlessOrdinaryUser() }, async (t) => {
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    await assertReadOnce(t, user.options);
  });

  it('has a file read again that has changed, whole, also when nobody looked for long', withDisk, async (t) => {
    const old = 'o'.repeat(2 * MIB);
    const disk = oldFile(t, old);
    if (disk === undefined) return t.skip('the host has no loop device to spare');
    const { server, ask, end } = await start(t, `sleep 1.05; cksum <${disk.file}`);
    const first = await ask();
    const read = bytesRead(server);
    assert.equal(await ask(), first);
    assert.ok(bytesRead(server) - read < old.length, 'what has not changed is kept');
    for (const text of ['n'.repeat(old.length), 'N'.repeat(old.length), 'shorter']) {
      writeFileSync(disk.file, text);
      // mtime as it was: only ctime tells.
      execFileSync('touch', ['-d', '2020-01-01', disk.file]);
      assert.equal(await ask(), execFileSync('cksum', { input: text, encoding: 'utf8' }));
    }
    await end();
  });

  /** How many bytes a file is read by when it is opened for the second time. */
  async function readAgain(t: TestContext, file: string, through: readonly string[] = []): Promise<number> {
    const { server, ask, end } = await start(t, `cksum <${file}`, { through });
    const first = await ask();
    const read = bytesRead(server);
    assert.equal(await ask(), first);
    const again = bytesRead(server) - read;
    await end();
    return again;
  }

  it('has all read again where the host does not write what is stored', withDisk, async (t) => {
    const disk = oldFile(t, 'o'.repeat(MIB));
    if (disk === undefined) return t.skip('the host has no loop device to spare');
    const never = join(scratchDirectory(t), 'never');
    writeFileSync(never, '0\n');
    const script = 'mount --bind "$0" /proc/sys/vm/dirty_writeback_centisecs && exec "$@"';
    const through = ['unshare', '--mount', '--', 'sh', '-c', script, never];
    const again = await readAgain(t, disk.file, through);
    assert.ok(again >= MIB, `${again} bytes the second time`);
  });

  it('keeps what an overlay has on a disk, and nothing of what it has in memory', withDisk, async (t) => {
    const disk = oldFile(t, 'o'.repeat(MIB));
    if (disk === undefined) return t.skip('the host has no loop device to spare');
    const memory = seenDirectory(t, '-t', 'tmpfs', 'none');
    for (const name of ['upper', 'work']) for (const at of [disk.point, memory]) mkdirSync(join(at, name));
    writeFileSync(join(memory, 'upper/file'), 'm'.repeat(MIB));
    const made = Date.now();
    const [merged, upper] = ([disk.point, memory] as const).map((above) => {
      const options = `lowerdir=${disk.point},upperdir=${above}/upper,workdir=${above}/work`;
      return seenDirectory(t, '-t', 'overlay', '-o', options, 'none');
    }) as [string, string];
    const onDisk = await readAgain(t, join(merged, 'file'));
    assert.ok(onDisk < MIB, `${onDisk} bytes the second time`);
    // No program makes a file older for the kernel.
    const settled = ['expire', 'writeback'].map((name) =>
      Number(readFileSync(`/proc/sys/vm/dirty_${name}_centisecs`, 'latin1')),
    );
    const due = made + settled.reduce((sum, each) => sum + each * 10, 0) + 30_000;
    while (Date.now() < due) await sleep(due - Date.now());
    const inMemory = await readAgain(t, join(upper, 'file'));
    assert.ok(inMemory >= MIB, `${inMemory} bytes the second time`);
  });

  it('says that a file cannot be read where that is so, and does not cut it', withDisk, async (t) => {
    const disk = oldFile(t, 'o'.repeat(2 * MIB));
    if (disk === undefined) return t.skip('the host has no loop device to spare');
    const blocks = execFileSync('debugfs', ['-R', 'blocks file', disk.image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const numbers = blocks.trim().split(/\s+/).map(Number);
    const blockBytes = (2 * MIB) / numbers.length;
    const { ask, end } = await start(t, `cat ${disk.file} >/tmp/copy 2>/tmp/error && echo whole; cat /tmp/error`);
    // In the middle of what is read at once.
    truncateSync(disk.image, (numbers[21] ?? 0) * blockBytes);
    assert.match(await ask(), /^cat: \S+: Input\/output error$/m);
    await end();
  });

  it('has a link stay the same below an overlay, when it is young and when it was touched', async (t) => {
    const directory = seenDirectory(t);
    const link = join(directory, 'link');
    const script = `sleep 1.05; readlink ${link} && ls -l ${directory} | wc -l`;
    const { ask, end } = await start(t, script, { args: ['--overlay'] });
    symlinkSync('target', link);
    for (let count = 0; count < 4; count += 1) {
      assert.equal(await ask(), 'target\n2\n');
      if (count > 1) lutimesSync(link, new Date(), new Date());
    }
    await end();
  });

  /** Started by one that cannot raise its limit of descriptors. */
  const limit = 1024;
  const limited = ['setpriv', '--bounding-set=-sys_resource', '--', 'prlimit', `--nofile=${limit}`];

  function assertLimited(server: number): void {
    const limits = readFileSync(`/proc/${server}/limits`, 'latin1');
    assert.match(limits, new RegExp(`^Max open files +${limit} +${limit} `, 'm'));
    // docs/security.md
    assert.match(limits, /^Max data size +536870912 +536870912 /m);
  }

  it('shows more files than it may have open', async (t) => {
    const command = ['/usr/share', '/usr/lib', '-xdev', '-size', '-1'];
    const script = `find ${command.join(' ')} -printf . | wc -c; cat /etc/hostname`;
    const { server, ask, end } = await start(t, script, { through: limited });
    assertLimited(server);
    const expected = execFileSync('find', [...command, '-printf', '.'], { maxBuffer: 64 * MIB }).length;
    const there = execFileSync('sh', ['-c', 'find /usr/share /usr/lib -xdev | wc -l'], { encoding: 'utf8' });
    assert.ok(Number(there) > 10 * limit, there);
    const [found, hostname] = (await ask()).split('\n');
    assert.deepEqual([Number(found), hostname], [expected, readFileSync('/etc/hostname', 'utf8').trim()]);
    assert.ok(readdirSync(`/proc/${server}/fd`).length < limit);
    await end();
  });

  it('says so where the guest has too many open, and goes on', { skip: unlessProgram('perl') }, async (t) => {
    const script = `ulimit -n 8192; perl -e 'my @open; for (1 .. 3000) { open(my $file, "<", "/etc/hostname") or last; push @open, $file }
      print "$! after ", scalar(@open) > 300 ? "many" : "few", "\\n"'; cat /etc/hostname`;
    const { server, ask, end } = await start(t, script, { through: limited });
    assertLimited(server);
    const [said, hostname] = (await ask()).split('\n');
    assert.match(said ?? '', /^Too many open files in system after many$/);
    assert.equal(hostname, readFileSync('/etc/hostname', 'utf8').trim());
    await end();
  });
});

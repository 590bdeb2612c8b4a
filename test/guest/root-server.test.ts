/** What the server of a root over virtiofs has the guest keep, and how many files it can show. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { loopDevice, unlessProgram } from '../helpers/images.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const MIB = 1 << 20;

/** The process that serves the root of a sandbox. */
function serverOf(name: string): number {
  const started = processesWith(join(name, 'root-server')).map((line) => Number.parseInt(line, 10));
  const [server] = started.filter((pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim() === '');
  return server ?? 0;
}

/** How many bytes it has read so far. */
function bytesRead(server: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${server}/io`, 'latin1'))?.[1]);
}

describe('the server of a root', { skip: embedded.skip || unlessRoot('it looks at the server') }, () => {
  let usual: UsualSnapshot;
  before(async () => {
    usual = await usualSnapshot();
  });
  after(() => usual?.remove());

  /** A sandbox that answers each line of its input with what a script says. */
  async function start(t: TestContext, script: string, { args = [] as readonly string[], limit = 0 } = {}) {
    const name = uniqueName();
    const answering = `echo up; while read -r line; do ${script}; echo done; done`;
    const words = ['-c', embedded.uri, ...ACCEL, '-n', name, '--root-fs', 'virtiofs', ...args];
    const through = limit > 0 ? ['prlimit', `--nofile=${limit}`] : [];
    const options = { env: usual.env, input: 'open', through } as const;
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

  it('has a program read once', async (t) => {
    const bytes = statSync('/usr/bin/perl').size;
    assert.ok(bytes > MIB);
    const { server, ask, end } = await start(t, 'cat /usr/bin/perl | cksum');
    const before = bytesRead(server);
    const first = await ask();
    const read = bytesRead(server);
    assert.ok(read - before >= bytes, `${read - before} of ${bytes} bytes`);
    assert.equal(await ask(), first);
    const again = bytesRead(server) - read;
    assert.ok(again < bytes / 10, `${again} bytes the second time`);
    await end();
  });

  it('has a file read again that has changed, whole, also when nobody looked for long', {
    skip: unlessProgram('mkfs.ext4', 'debugfs'),
  }, async (t) => {
    const directory = scratchDirectory(t);
    const content = join(directory, 'content');
    const old = 'o'.repeat(2 * MIB);
    writeFileSync(content, old);
    const image = join(directory, 'image');
    execFileSync('mkfs.ext4', ['-q', image, '32M']);
    const commands = [
      'write content file',
      'set_inode_field file mtime 20200101',
      'set_inode_field file ctime 20200101',
    ];
    execFileSync('debugfs', ['-w', '-f', '-', image], {
      cwd: directory,
      input: `${commands.join('\n')}\nset_inode_field file mode 0100644\n`,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const device = loopDevice(t, image);
    if (device === undefined) return t.skip('the host has no loop device to spare');
    // Not in /tmp, which a sandbox has of its own.
    const point = mkdtempSync('/var/tmp/virt-sandbox-root-server-');
    chmodSync(point, 0o755);
    execFileSync('mount', [device, point]);
    t.after(() => {
      execFileSync('umount', ['--lazy', point]);
      rmSync(point, { recursive: true });
    });
    const file = join(point, 'file');

    const { server, ask, end } = await start(t, `sleep 1.05; cksum <${file}`);
    const first = await ask();
    const read = bytesRead(server);
    assert.equal(await ask(), first);
    assert.ok(bytesRead(server) - read < old.length, 'what has not changed is kept');
    for (const text of ['n'.repeat(old.length), 'N'.repeat(old.length), 'shorter']) {
      writeFileSync(file, text);
      // mtime as it was: only ctime tells.
      execFileSync('touch', ['-d', '2020-01-01', file]);
      assert.equal(await ask(), execFileSync('cksum', { input: text, encoding: 'utf8' }));
    }
    await end();
  });

  it('shows more files than it may have open', async (t) => {
    const limit = 1024;
    const command = ['/usr/share', '/usr/lib', '-xdev', '-size', '-1'];
    const script = `find ${command.join(' ')} -printf . | wc -c; cat /etc/hostname`;
    const { server, ask, end } = await start(t, script, { limit });
    const expected = execFileSync('find', [...command, '-printf', '.'], { maxBuffer: 64 * MIB }).length;
    const there = execFileSync('sh', ['-c', 'find /usr/share /usr/lib -xdev | wc -l'], { encoding: 'utf8' });
    assert.ok(Number(there) > 10 * limit, there);
    const [found, hostname] = (await ask()).split('\n');
    assert.deepEqual([Number(found), hostname], [expected, readFileSync('/etc/hostname', 'utf8').trim()]);
    assert.ok(readdirSync(`/proc/${server}/fd`).length < limit);
    await end();
  });

  it('says so where the guest has too many open, and goes on', { skip: unlessProgram('perl') }, async (t) => {
    const script = `perl -e 'my @open; for (1 .. 3000) { open(my $file, "<", "/etc/hostname") or last; push @open, $file }
      print "$! after ", scalar(@open) > 300 ? "many" : "few", "\\n"'; cat /etc/hostname`;
    const { ask, end } = await start(t, script, { limit: 1024 });
    const [said, hostname] = (await ask()).split('\n');
    assert.match(said ?? '', /^Too many open files(?: in system)? after many$/);
    assert.equal(hostname, readFileSync('/etc/hostname', 'utf8').trim());
    await end();
  });
});

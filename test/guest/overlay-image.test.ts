/** A root to write to that is kept in an image: --overlay=FILE.qcow2. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { imageFile, unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { stoppedProgram, tracedProgram } from '../helpers/killed-programs.js';
import { unlessTraced } from '../helpers/killing.js';
import { assertNothingLeft, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertFailure, assertRun, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { fingerprint } from '../helpers/tree-listing.js';

const NOBODY = 65_534;
const TOOLS = unlessProgram('qemu-img', 'mke2fs', 'e2fsck', 'debugfs', 'dpkg-deb');
/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-kept-');
/** What is looked at of images, outside of what a sandbox is shown. */
const plains = mkdtempSync('/var/tmp/virt-sandbox-plain-');
const tree = join(ground, 'tree');
/** Where the images are: a directory for each test. */
const images = mkdtempSync('/var/tmp/virt-sandbox-images-');
const PACKAGE = join(ground, 'kept-sayer.deb');
/** Of the host the sandboxes change these too. Others may change what is beside. */
const MADE = ['/usr/bin/kept-sayer', '/usr/lib/kept-sayer', '/etc/kept-sayer', '/made'];

function hostNow(): string {
  assert.deepEqual(MADE.filter(existsSync), []);
  return fingerprint(ground);
}

/** The path of a new image, in a directory of that user's. */
function imagePath(owner = 0): string {
  const directory = mkdtempSync(join(images, 'of-'));
  chownSync(directory, owner, owner);
  return join(directory, 'kept.qcow2');
}

/**
 * The file system as the next mount would find it: with what is in the journal, and without files that were open after
 * they had been removed. It has no other errors.
 */
function fileSystemOf(image: string): string {
  // 3: a QEMU that was killed leaves clusters that nothing refers to. They are no errors. qemu-img(1)
  const checked = spawnSync('qemu-img', ['check', '-q', image], { encoding: 'utf8' });
  assert.ok(checked.status === 0 || checked.status === 3, checked.stderr);
  const plain = join(plains, `${image.split('/').at(-2)}.raw`);
  execFileSync('qemu-img', ['convert', '-O', 'raw', image, plain]);
  // 1: as a mount does, it has removed such files. Whatever else it finds is an error of its own then.
  const replayed = spawnSync('e2fsck', ['-p', plain], { encoding: 'utf8' });
  assert.ok(replayed.status === 0 || replayed.status === 1, replayed.stdout);
  const { status, stdout } = spawnSync('e2fsck', ['-fn', plain], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
  return plain;
}

before(() => {
  for (const directory of [ground, images]) chmodSync(directory, 0o755);
  for (const name of ['tree', 'tree/sub']) mkdirSync(join(ground, name), { mode: 0o755 });
  for (const name of ['file', 'removed', 'sub/file'])
    writeFileSync(join(tree, name), `host ${name}\n`, { mode: 0o644 });
  if (TOOLS) return;
  const build = join(ground, 'package');
  for (const name of ['DEBIAN', 'usr/bin', 'usr/lib/kept-sayer']) mkdirSync(join(build, name), { recursive: true });
  const control = ['Package: kept-sayer', 'Version: 1', 'Architecture: all', 'Maintainer: x <x@example.org>'];
  writeFileSync(join(build, 'DEBIAN/control'), `${[...control, 'Description: says'].join('\n')}\n`);
  const script = '#!/bin/sh\necho set up > /etc/kept-sayer\nchown games:mail /etc/kept-sayer\n';
  writeFileSync(join(build, 'DEBIAN/postinst'), script, { mode: 0o755 });
  writeFileSync(join(build, 'usr/bin/kept-sayer'), '#!/bin/sh\ncat /etc/kept-sayer\n', { mode: 0o755 });
  writeFileSync(join(build, 'usr/lib/kept-sayer/data'), 'x\n');
  chownSync(join(build, 'usr/lib/kept-sayer/data'), NOBODY, 8);
  chmodSync(join(build, 'usr/lib/kept-sayer/data'), 0o4750);
  execFileSync('dpkg-deb', ['-b', build, PACKAGE], { stdio: 'ignore' });
});
after(() => {
  for (const directory of [ground, images, plains]) rmSync(directory, { recursive: true, force: true });
});

/** What the first sandbox does, as root with capabilities. */
const FIRST = {
  install: `dpkg -i ${PACKAGE} >/tmp/log 2>&1 || tail /tmp/log; kept-sayer`,
  owners: "stat -c '%a %u %g' /usr/lib/kept-sayer/data; stat -c '%U %G' /etc/kept-sayer",
  change: `cd ${tree} && echo more >> file && rm removed && mv sub moved && cat file moved/file && chown 12:34 file`,
  made: 'mkdir /made && mknod /made/null c 1 3 && mkfifo /made/pipe && ln /etc/kept-sayer /made/link && ls /made',
} as const;
const DONE = {
  install: 'set up',
  owners: `4750 ${NOBODY} 8\ngames mail`,
  change: 'host file\nmore\nhost sub/file',
  made: 'link\nnull\npipe',
};
/** What a second one finds. */
const SECOND = {
  sayer: 'kept-sayer; dpkg-query -W kept-sayer',
  owners: FIRST.owners,
  tree: `cd ${tree} && ls; cat file; stat -c '%u %g' file`,
  made: 'ls /made; stat -c %h /etc/kept-sayer; echo x > /made/null && stat -c %F /made/null',
  // No path leads to the layers, and nobody opens the disk.
  layers: "grep -c -e ext4 -e /dev/vd /proc/mounts; ls -d /overlay 2>&1 | grep -c No; stat -c '%a %u' /dev/vd?",
} as const;
const FOUND = {
  sayer: 'set up\nkept-sayer\t1',
  owners: DONE.owners,
  tree: 'file\nmoved\nhost file\nmore\n12 34',
  made: 'link\nnull\npipe\n2\ncharacter special file',
  layers: '0\n1\n0 4294967294',
};

async function assertKept(args: readonly string[], owner: number, options: RunOptions = {}): Promise<string> {
  const image = imagePath(owner);
  const earlier = hostNow();
  const on = [...args, ...ACCEL, '-p', `--overlay=${image}`];
  assert.deepEqual(await ask(on, FIRST, options), DONE);
  assert.deepEqual([statSync(image).uid, statSync(image).mode & 0o7777], [owner, 0o600]);
  assert.deepEqual(readdirSync(join(image, '..')), ['kept.qcow2']);
  assert.deepEqual(await ask([...on, '--boot', 'cold'], SECOND, options), FOUND);
  assert.equal(hostNow(), earlier);
  assert.equal(statSync(image).uid, owner);
  assert.equal(imageFile(fileSystemOf(image), '/upper/etc/kept-sayer'), 'set up\n');
  return image;
}

for (const way of [embedded, system]) {
  it(`root finds over ${way.uri} what an earlier sandbox wrote, and the host keeps what it has`, {
    skip: way.skip || TOOLS,
  }, async () => {
    const name = uniqueName();
    await assertKept(['-c', way.uri, '-n', name], 0);
    await assertNothingLeft(name, way.where);
  });
}

describe('an overlay in an image', { skip: embedded.skip || TOOLS }, () => {
  const on = (image: string, ...more: readonly string[]) => [
    ...['-c', embedded.uri, ...ACCEL, '-p', `--overlay=${image}`],
    ...more,
  ];

  it('shows what the host has changed between the runs, and keeps what was written there', async () => {
    const image = imagePath();
    const late = join(ground, 'late');
    mkdirSync(join(late, 'sub'), { recursive: true });
    for (const name of ['changed', 'written', 'sub/removed']) writeFileSync(join(late, name), 'old\n');
    await ask(on(image), { write: `cd ${late} && echo mine > written && mkdir own && touch own/x sub/own` });
    writeFileSync(join(late, 'changed'), 'new\n');
    writeFileSync(join(late, 'added'), 'new\n');
    writeFileSync(join(late, 'written'), 'of the host\n');
    rmSync(join(late, 'sub/removed'));
    mkdirSync(join(late, 'more/deep'), { recursive: true });
    const found = await ask(on(image), { all: `cd ${late} && cat changed added written && find . | sort` });
    const names = ['.', './added', './changed', './more', './more/deep', './own', './own/x', './sub', './sub/own'];
    assert.equal(found.all, ['new', 'new', 'mine', ...names, './written'].join('\n'));
    rmSync(late, { recursive: true });
  });

  it('is usable after QEMU was killed in the midst of writing, with what was synced', async () => {
    const image = imagePath();
    for (let turn = 0; turn < 2; turn += 1) {
      const name = uniqueName();
      const script = `echo ${turn} > /kept.${turn}; sync; echo synced; while :; do cp -r /usr/share/doc/l* /made.$$ ; rm -r /made.$$; done`;
      const running = startSandbox([...on(image), '-n', name, '--', 'sh', '-c', script]);
      await running.until(/synced/);
      process.kill(qemuOf(name) ?? assert.fail('no QEMU'), 'SIGKILL');
      assert.equal((await running.result).code, 125);
      await assertNothingLeft(name, embedded.where);
      fileSystemOf(image);
    }
    const found = await ask(on(image), { kept: 'cat /kept.0 /kept.1; echo x > /after && cat /after' });
    assert.equal(found.kept, '0\n1\nx');
  });

  it('is that of one sandbox at a time, which is said with the name of the file', async () => {
    const image = imagePath();
    const running = startSandbox([...on(image), '--', 'sh', '-c', 'echo up; read x'], { input: 'open' });
    await running.until(/up/);
    for (const boot of ['cold', 'auto']) {
      const refused = await runSandbox([...on(image), '--boot', boot, '--', 'true']);
      assertFailure(refused, /domain: the overlay in "(.*)" is in use by another sandbox/, new RegExp(image));
    }
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
  });

  it('is not there when Ctrl+C ends what makes it, and the sandbox', { skip: unlessTraced() }, async (t) => {
    const image = imagePath();
    const traced = tracedProgram(t, 'mke2fs');
    const begin = (env: NonNullable<RunOptions['env']>) =>
      startSandbox([...on(image), '--', 'true'], { through: ['setsid'], env });
    const { caller, end } = await stoppedProgram(t, traced, { call: 'pwrite64', when: 2 }, begin);
    process.kill(-caller.pid, 'SIGINT');
    await end();
    assertRun(await caller.result, 130, '');
    assert.deepEqual(readdirSync(dirname(image)), []);
  });

  it('may have another size, and is full inside then', async () => {
    const image = imagePath();
    const raw = join(ground, 'small.raw');
    writeFileSync(raw, '');
    truncateSync(raw, 64 << 20);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', raw], { stdio: 'ignore' });
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, image]);
    chmodSync(image, 0o600);
    rmSync(raw);
    const found = await ask(on(image), {
      full: 'head -c 100M /dev/zero > /big',
      after: 'rm /big && echo x > /small && cat /small',
    });
    assert.match(found.full, /No space left on device$/);
    assert.equal(found.after, 'x');
  });

  it('needs a slot and modules of a snapshot, and bake --for makes one that has them', async (t) => {
    const { env, remove } = privateStore();
    t.after(remove);
    const image = imagePath();
    await bakeSnapshot(['-c', embedded.uri], { env });
    const warm = [...on(image), '--boot', 'warm'];
    const refused = await runSandbox([...warm, '--', 'true'], { env });
    assertFailure(refused, /has no slot for a disk/);
    assert.equal(existsSync(image), false);
    await bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1', '--with', 'overlay'], { env });
    const found = await ask(warm, { write: 'echo x >> /kept; cat /kept' }, { env });
    assert.equal(found.write, 'x');
    assert.equal((await ask(warm, { write: 'echo x >> /kept; cat /kept' }, { env })).write, 'x\nx');
  });

  it('is no matter for an application without capabilities, whoever it is', async () => {
    const image = imagePath();
    const facts = {
      device: 'head -c 1 /dev/vda; chmod 666 /dev/vda; echo > /dev/vda',
      write: 'echo x > /etc/motd && cat /etc/motd',
    };
    const found = await ask(['-c', embedded.uri, ...ACCEL, `--overlay=${image}`], facts);
    // There is /dev/null in its place: nothing is read, and nothing that is written comes anywhere.
    assert.match(found.device, /^(.*(not permitted|Read-only file system)\n?)?$/);
    assert.equal(found.write, 'x');
  });

  it('cannot be of a pool', async () => {
    const { SandboxPool } = await import('../../src/index.js');
    const creating = SandboxPool.create({ connect: embedded.uri, size: 1, overlay: imagePath() });
    await assert.rejects(creating, { code: 'pool-with-kept-overlay' });
  });
});

describe('of an ordinary user', { skip: unlessOrdinaryUser() || TOOLS }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  for (const uri of ['qemu:///session', embedded.uri])
    it(`has over ${uri} the owners that files have inside`, async () => {
      const name = uniqueName();
      const image = await assertKept(['-c', uri, '-n', name], NOBODY, user.options);
      await assertNothingLeft(name, uri === embedded.uri ? { state: user.home } : user.where);
      // The user without capabilities writes what is the user's.
      const own = ['-c', uri, ...ACCEL, `--overlay=${image}`];
      const found = await ask(own, { others: 'echo x > /etc/motd; kept-sayer', own: 'id -u' }, user.options);
      assert.match(found.others, /Permission denied\nset up$/);
      assert.equal(found.own, String(NOBODY));
    });
});

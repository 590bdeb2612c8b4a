/**
 * Promise: what boots from `--image DIR` is what the manifest in DIR says, whoever DIR belongs to.
 * The attacker is an ordinary user, to whom DIR belongs. The victims are files that only root may read, the launcher of
 * root's sandbox, and root's other sandboxes.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Manifest, manifestText, sealManifest } from '../../src/image/manifest.js';
import { ACCEL } from '../helpers/acceleration.js';
import { runBake } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertFailure, assertRun, type RunResult, runSandbox } from '../helpers/run.js';
import { bakeSnapshot, resealSnapshot } from '../helpers/snapshots.js';

const UID = 65_534;

/** What `uname -v` says of a kernel of Debian's, and of one that was changed in place. */
const GENUINE = '#1 SMP PREEMPT_DYNAMIC Debian';
const CHANGED = '#1 SMP PREEMPT_DYNAMIC Attack';

describe('--image DIR, of another user', { skip: embedded.skip || unlessServingKernel }, () => {
  // Outside /tmp, which a sandbox replaces.
  const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
  const genuine = join(ground, 'genuine');
  /** Nobody but root and its QEMUs may enter. */
  const secret = join(ground, 'secret');
  let cache = '';
  let warm = '';
  before(async () => {
    cache = makeCache();
    execFileSync('chmod', ['755', ground]);
    mkdirSync(secret, { mode: 0o710 });
    const baked = await bakeSnapshot(['-c', embedded.uri, '--with', 'block', '-o', genuine], {
      env: { XDG_CACHE_HOME: cache },
    });
    warm = join('warm', basename(baked.warm));
    // The QEMUs of root's have a group that may read snapshots.
    chownSync(secret, 0, statSync(join(genuine, warm, 'memory')).gid);
  });
  after(() => {
    removeCache(cache);
    rmSync(ground, { recursive: true, force: true });
  });

  let count = 0;
  /** A directory of the attacker's with the image, with its own snapshot or without. */
  function directory(kind: 'cold' | 'warm' = 'cold'): string {
    count += 1;
    const copy = join(ground, `dir${count}`);
    execFileSync('cp', ['-a', genuine, copy]);
    if (kind === 'cold') rmSync(join(copy, 'warm'), { recursive: true });
    execFileSync('chown', ['-R', String(UID), copy]);
    return copy;
  }

  /** Moves a file or directory to where only root can read it, and leaves the attacker's link. */
  function linkAway(path: string): void {
    const target = join(secret, `${count}-${basename(path)}`);
    renameSync(path, target);
    execFileSync('chown', ['-R', '--from', String(UID), '0', target]);
    execFileSync('chmod', ['-R', 'o-rwx', target]);
    execFileSync('setpriv', [`--reuid=${UID}`, '--clear-groups', 'ln', '-s', target, path]);
  }

  /** Runs a sandbox of root's that boots from it. Each has a store of its own, which knows nothing of the image. */
  async function start(dir: string, options: readonly string[] = [], script = 'uname -v'): Promise<RunResult> {
    const own = makeCache();
    const args = ['-c', embedded.uri, ...ACCEL, '--image', dir, ...options, '--', 'sh', '-c', script];
    const result = await runSandbox(args, { env: { XDG_CACHE_HOME: own } });
    removeCache(own);
    return result;
  }

  it('boots, and so does its snapshot, if it is as it was baked', async () => {
    assert.match((await start(directory())).out, new RegExp(`^${GENUINE} `));
    const result = await start(directory('warm'), ['--boot', 'warm'], 'echo up');
    assertRun(result, 0, 'up\n');
  });

  for (const name of ['vmlinux', 'initrd', 'manifest.json']) {
    it(`leads to no file that only root may read by its ${name}`, async () => {
      const dir = directory();
      linkAway(join(dir, name));
      // With a disk QEMU got copies of kernel and initrd that root had made.
      const disk = join(ground, `disk${count}`);
      writeFileSync(disk, Buffer.alloc(1 << 20));
      const result = await start(dir, ['--disk', `file:a=${disk}`]);
      assertFailure(result, new RegExp(`/${name} is a symbolic link`));
    });
  }

  for (const [name, called] of [
    ['memory', 'its memory'],
    ['state', 'its state'],
    ['warm.json', 'its record'],
    ['.', 'its directory'],
    ['..', 'the directory above'],
  ] as const) {
    it(`leads to no snapshot that only root may read by ${called}`, async () => {
      const dir = directory('warm');
      linkAway(join(dir, warm, name));
      const result = await start(dir, ['--boot', 'warm'], 'echo up');
      assertFailure(result, /no snapshot serves this sandbox/);
    });
  }

  it('boots no kernel and no initrd with other bytes of the same size', async () => {
    for (const [name, from, to] of [
      ['vmlinux', GENUINE, CHANGED],
      ['initrd', 'modules', 'Modules'],
    ] as const) {
      const dir = directory();
      replaceBytes(join(dir, name), from, to);
      const result = await start(dir);
      assert.equal(result.out, '');
      assertFailure(result, new RegExp(`/${name} has another content, so the image is not what its manifest says`));
    }
  });

  it('boots the kernel that was checked when it is changed after that', async () => {
    const dir = directory();
    const args = ['-c', embedded.uri, ...ACCEL, '--image', dir, '--boot', 'cold', '--', 'uname', '-v'];
    const options = { env: { XDG_CACHE_HOME: cache } };
    // It is checked without a boot, too.
    assert.equal((await runSandbox(['--dry-run', ...args], options)).code, 0);
    replaceBytes(join(dir, 'vmlinux'), GENUINE, CHANGED);
    assert.match((await runSandbox(args, options)).out, new RegExp(`^${GENUINE} `));
  });

  it('is not waited for', async () => {
    for (const name of ['manifest.json', 'vmlinux', 'initrd']) {
      const dir = directory();
      rmSync(join(dir, name));
      execFileSync('mkfifo', [join(dir, name)]);
      assertFailure(await start(dir), new RegExp(`/${name} is not a regular file`));
    }
    for (const name of ['memory', 'state', 'warm.json']) {
      const dir = directory('warm');
      rmSync(join(dir, warm, name));
      execFileSync('mkfifo', [join(dir, warm, name)]);
      assertFailure(await start(dir, ['--boot', 'warm']), /no snapshot serves this sandbox/);
    }
  });

  it('takes no more of the disk than its manifest says', async () => {
    const dir = directory();
    execFileSync('truncate', ['-s', '1T', join(dir, 'initrd')]);
    assertFailure(await start(dir), /initrd has 1099511627776 bytes and not \d+/);
  });

  it('restores no snapshot of another image, and none that was changed', async () => {
    const dir = directory('warm');
    await resealSnapshot(join(dir, warm), { image: '0'.repeat(32) });
    assertFailure(await start(dir, ['--boot', 'warm']), /the snapshot \S+ is of the boot image 0{32}/);
    const changed = directory('warm');
    const memory = openSync(join(changed, warm, 'memory'), 'r+');
    const byte = Buffer.alloc(1);
    readSync(memory, byte, 0, 1, 20_000_000);
    writeSync(memory, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, 20_000_000);
    closeSync(memory);
    assertFailure(await start(changed, ['--boot', 'warm']), /damaged: its file memory has another content/);
  });

  it('gives its snapshot to no sandbox that does not name it', async () => {
    const dir = directory('warm');
    const own = makeCache();
    const env = { XDG_CACHE_HOME: own };
    const uri = ['-c', embedded.uri, ...ACCEL];
    assertRun(await runSandbox([...uri, '--image', dir, '--boot', 'warm', '--', 'true'], { env }), 0, '');
    const other = await runSandbox([...uri, '-v', '--boot', 'auto', '--dry-run', '--', 'true'], { env });
    assert.match(other.stderr, /^virt-sandbox: boot: cold, because there is no snapshot$/m);
    // Nor to one that names a copy of the same image elsewhere.
    const twin = await runSandbox([...uri, '--image', directory(), '--boot', 'warm', '--', 'true'], { env });
    assertFailure(twin, /no snapshot serves this sandbox: there is no snapshot/);
    const { out } = await runBake(own, ['list', '--json']);
    assert.deepEqual(
      (JSON.parse(out) as { warm: unknown[] }[]).flatMap((image) => image.warm),
      [],
    );
    // The copies are root's, and prune removes them.
    const copies = join(own, 'virt-sandbox/images/.imported');
    assert.equal(execFileSync('find', [copies, '-not', '-uid', '0'], { encoding: 'utf8' }), '');
    assert.equal((await runBake(own, ['prune'])).code, 0);
    assert.deepEqual(
      readdirSync(copies).filter((name) => !name.startsWith('.')),
      [],
    );
    removeCache(own);
  });

  it('is copied once by two starts at the same time', async () => {
    const dir = directory();
    const own = makeCache();
    const args = ['-c', embedded.uri, ...ACCEL, '--image', dir, '--dry-run', '--', 'true'];
    const results = await Promise.all([0, 1, 2].map(() => runSandbox(args, { env: { XDG_CACHE_HOME: own } })));
    for (const { code, stderr } of results) assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const copies = readdirSync(join(own, 'virt-sandbox/images/.imported'));
    assert.equal(copies.filter((name) => !name.startsWith('.')).length, 1);
    assert.deepEqual(
      copies.filter((name) => name.startsWith('.build')),
      [],
    );
    removeCache(own);
  });

  it('is not followed or waited for by virt-sandbox-bake either', async () => {
    for (const name of ['vmlinux', 'initrd', 'manifest.json']) {
      const dir = directory();
      linkAway(join(dir, name));
      const verified = await runBake(cache, ['verify', dir]);
      assert.deepEqual({ code: verified.code, signal: verified.signal }, { code: 1, signal: null });
      assert.match(verified.out, new RegExp(`${name}: it is a symbolic link`));
      assert.equal((await runBake(cache, ['show', dir])).code, 125);
      rmSync(join(dir, name));
      execFileSync('mkfifo', [join(dir, name)]);
      assert.match((await runBake(cache, ['verify', dir])).out, /it is not a regular file/);
      assert.equal((await runBake(cache, ['cat', dir, 'init'])).code, 125);
    }
    const dir = directory('warm');
    rmSync(join(dir, warm, 'warm.json'));
    execFileSync('mkfifo', [join(dir, warm, 'warm.json')]);
    assert.equal((await runBake(cache, ['show', dir])).code, 0);
  });

  it('has virt-sandbox-bake read no other file by its record', async () => {
    const fifo = join(ground, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const profile of ['/dev/zero', fifo]) {
      const dir = directory('warm');
      await resealSnapshot(join(dir, warm), { profile });
      const { code, signal, stderr } = await runBake(cache, ['show', dir]);
      assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    }
  });

  it('tells the terminal nothing', async () => {
    const ESCAPE = '\u001b]0;owned\u0007';
    const dir = directory('warm');
    await resealSnapshot(join(dir, warm), { kernelArguments: ESCAPE });
    assert.match((await runBake(cache, ['show', dir])).out, /\\u\{1b\}\]0;owned\\u\{7\}$/m);
    const path = join(dir, 'manifest.json');
    const { id: _id, ...content } = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
    execFileSync('chmod', ['u+w', path]);
    writeFileSync(path, manifestText(sealManifest({ ...content, kernel: { ...content.kernel, version: ESCAPE } })));
    const { code, stderr } = await runBake(cache, ['show', dir]);
    assert.equal(code, 125);
    assert.match(stderr, /manifest\.json is damaged, or of another version of this program/);
    assertFailure(await start(dir), /manifest\.json is damaged, or of another version/);
  });
});

/** Replaces a text in a file by one of the same length. */
function replaceBytes(path: string, from: string, to: string): void {
  const data = readFileSync(path);
  let at = data.indexOf(from);
  assert.ok(at >= 0, `${path} has no ${from}`);
  for (; at >= 0; at = data.indexOf(from, at + 1)) data.write(to, at);
  execFileSync('chmod', ['u+w', path]);
  writeFileSync(path, data);
}

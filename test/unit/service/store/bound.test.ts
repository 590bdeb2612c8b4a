/** Who uses a state with a bound at once, and what becomes of its mount. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { mountPointsBelow } from '../../../../src/sandbox/devices/host-mounts.js';
import { hasMountedLayers } from '../../../../src/sandbox/devices/overlay-bound.js';
import { keptOverlay, makeOverlayDirectory } from '../../../../src/sandbox/devices/overlay-directory.js';
import { startError } from '../../../../src/service/run/start-error.js';
import { boundOf, holdState, unmountBound, useState, whileMounted } from '../../../../src/service/store/bound.js';
import { fillBound } from '../../../../src/service/store/bound-make.js';
import { mountStateOf } from '../../../../src/service/store/bound-mount.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { freshDirectory, scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const BYTES = 150_000_000;
/** Bytes that are to be there from the beginning. */
const COPIED = 2 ** 20;
const TOPMOST = { mode: 0o755, uid: 0, gid: 0 };

async function bounded(t: TestContext, bytes = BYTES) {
  const above = freshDirectory(WITH_ATTRIBUTES);
  const path = join(above, 'state');
  t.after(() => {
    // Before it is removed: what is run after a test is run in the order in which it was named.
    unmountBound(path);
    rmSync(above, { recursive: true, force: true });
  });
  mkdirSync(path, { mode: 0o700 });
  await fillBound(path, bytes, async () => makeOverlay(path));
  const state = { type: 'directory', path } as const;
  return { state, path, endUse: await useState(state) };
}

function makeOverlay(path: string): void {
  makeOverlayDirectory(path, { root: { type: 'directory', path: '/' }, kind: 'container' }, TOPMOST);
}

/** In a file system with so many pages. @returns why there is none; undefined: it is whole */
async function errorWith(t: TestContext, pages: number): Promise<SandboxError | undefined> {
  const path = join(new FullDisk(t, `size=${pages * 4096}`).path, 'state');
  mkdirSync(path, { mode: 0o700 });
  try {
    await fillBound(path, BYTES, async () => {
      makeOverlay(path);
      writeFileSync(join(path, 'layers/copy'), randomBytes(COPIED));
    });
  } catch (error) {
    return error instanceof SandboxError ? error : assert.fail(String(error));
  } finally {
    assert.equal(hasMountedLayers(path), false);
  }
  const state = { type: 'directory', path } as const;
  assert.equal(await whileMounted(state, async () => keptOverlay(path)?.kind), 'container');
  return undefined;
}

/** The size of a link to a file. */
function unsafe(path: string): unknown {
  const other = `${path}-other`;
  mkdirSync(other, { mode: 0o700 });
  symlinkSync(join(path, 'layers.ext4'), join(other, 'layers.ext4'));
  return boundOf({ type: 'directory', path: other });
}

describe('a state with a bound', { skip: unlessRoot('it mounts') }, () => {
  it('is mounted until the last who uses it lets it go', async (t) => {
    const { state, path, endUse } = await bounded(t);
    const layers = join(path, 'layers');
    assert.deepEqual([boundOf(state), lstatSync(layers).mode & 0o7777], [BYTES, 0o700]);
    await endUse();
    assert.equal(hasMountedLayers(path), false);
    assert.throws(() => keptOverlay(path), { code: 'overlay-not-mounted', remedy: /virt-sandbox-service start/ });
    const users = await Promise.all([useState(state), useState(state), useState(state)]);
    assert.equal(keptOverlay(path)?.kind, 'container');
    assert.deepEqual(
      mountPointsBelow(path).map(({ path: at, isKernels }) => [at, isKernels]),
      [['layers', true]],
    );
    for (const [index, end] of users.entries()) {
      assert.equal(hasMountedLayers(path), true);
      await end();
      await end();
      assert.equal(hasMountedLayers(path), index + 1 < users.length);
    }
  });

  it('is made as a whole, or not at all where there is no room', async (t) => {
    const { path, endUse } = await bounded(t);
    await endUse();
    const enough = lstatSync(join(path, 'layers.ext4')).blocks / 8;
    const messages: string[] = [];
    // For the tables, for the journal, for a part of what is copied, and for all but the record.
    const parts = [4, 64, 2048, enough + 64, ...Array.from({ length: 100 }, (_, index) => enough + 200 + index)];
    for (const pages of parts) {
      const error = await errorWith(t, pages);
      if (error === undefined) break;
      assert.ok(pages < enough + 299, error.message);
      assert.match(error.code, /^(service-bound-not-written|overlay-not-writable)$/, error.message);
      assert.match(error.remedy ?? '', /make room|free some space/);
      messages.push(error.message);
    }
    assert.match(
      messages.join('\n'),
      /mke2fs: No space left .*\n.*ENOSPC: no space left.*\n.*(?:(?:input\/output|i\/o) error|no space left)/is,
    );
  });

  it('is used as a killed process has left it, and goes with its directory', async (t) => {
    const { state, path, endUse } = await bounded(t);
    await endUse();
    execFileSync('mount', ['-o', 'loop', join(path, 'layers.ext4'), join(path, 'layers')]);
    assert.equal(await mountStateOf(path), 'foreign');
    const used = await whileMounted(state, async () => [keptOverlay(path)?.kind, await mountStateOf(path)]);
    assert.deepEqual(used, ['container', 'right']);
    assert.equal(hasMountedLayers(path), false);
    const end = await useState(state);
    unmountBound(path);
    assert.equal(hasMountedLayers(path), false);
    await end();
  });

  it('is not taken from who looks into it', async (t) => {
    const { state, path, endUse } = await bounded(t);
    const child = spawn('sleep', ['1000'], { cwd: join(path, 'layers'), stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    await endUse();
    assert.equal(hasMountedLayers(path), true);
    assert.throws(() => unmountBound(path), { code: 'service-bound-busy', remedy: /leave the directories in it/ });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await whileMounted(state, async () => {});
    assert.equal(hasMountedLayers(path), false);
  });

  it('is mounted anew when it takes nothing more since an error', async (t) => {
    const { state, path, endUse } = await bounded(t);
    await endUse();
    const use = await holdState(state);
    const file = join(path, 'layers/file');
    const fail = async () => {
      const name = execFileSync('losetup', ['-nO', 'NAME', '-j', join(path, 'layers.ext4')], { encoding: 'utf8' });
      writeFileSync(`/sys/fs/ext4/${name.trim().slice('/dev/'.length)}/trigger_fs_error`, 'test');
      assert.equal(await mountStateOf(path), 'read-only');
      assert.throws(() => writeFileSync(file, ''), { code: 'EROFS' });
    };
    const error = new Error('an overlay cannot be laid');
    const service = { name: 'web', config: { root: { type: 'directory', path: '/' }, overlay: state } } as const;
    assert.equal(await startError(service, error), error);
    await fail();
    const shown = await startError(service, error);
    assert.ok(shown instanceof SandboxError && shown.code === 'service-state-read-only');
    assert.match(shown.message, /has become read-only, since its disk has no room, or failed: an overlay cannot/);
    await use.renew();
    writeFileSync(file, '');
    // With another who uses it, it stays.
    const other = await useState(state);
    await fail();
    await use.renew();
    assert.equal(await mountStateOf(path), 'read-only');
    await other();
    await use.renew();
    writeFileSync(file, '');
    await use.end();
  });

  it('is not known to take nothing when somebody holds it still, or has it to be read only', async (t) => {
    const { path, endUse } = await bounded(t);
    const layers = join(path, 'layers');
    execFileSync('fsfreeze', ['-f', layers]);
    try {
      assert.equal(await mountStateOf(path), 'right');
    } finally {
      execFileSync('fsfreeze', ['-u', layers]);
    }
    const flags = 'nosuid,nodev,noexec,nosymfollow';
    execFileSync('mount', ['-o', `remount,bind,ro,${flags}`, layers]);
    assert.equal(await mountStateOf(path), 'foreign');
    execFileSync('mount', ['-o', `remount,bind,rw,${flags}`, layers]);
    await endUse();
  });

  it('covers what lets no container start on the directory below', async (t) => {
    const { path, endUse } = await bounded(t);
    const lock = join(path, 'layers/lock');
    assert.equal(existsSync(lock), false);
    await endUse();
    assert.equal(lstatSync(lock).isFile(), true);
  });

  it('is not unmounted by who has used what was there before', async (t) => {
    const { state, path, endUse } = await bounded(t);
    await endUse();
    const end = await useState(state);
    const old = `${path}-old`;
    unmountBound(path);
    renameSync(path, old);
    mkdirSync(path, { mode: 0o700 });
    await fillBound(path, BYTES, async () => {
      await end();
      assert.equal(hasMountedLayers(path), true);
    });
    assert.equal(hasMountedLayers(path), false);
  });

  it('is not what somebody else has mounted beside such a file', async (t) => {
    const { path, endUse } = await bounded(t);
    chmodSync(path, 0o755);
    assert.deepEqual(
      mountPointsBelow(path).map(({ isKernels }) => isKernels),
      [false],
    );
    assert.throws(() => unsafe(path), { code: 'service-bound-unsafe' });
    chmodSync(path, 0o700);
    await endUse();
  });

  for (const bytes of [BYTES, 1e9, 10e9, 100e9])
    it(`has no bits that a service chooses in the first 4 MiB, with ${bytes} bytes`, async (t) => {
      const { path, endUse } = await bounded(t, bytes);
      await endUse();
      const said = execFileSync('dumpe2fs', [join(path, 'layers.ext4')], { encoding: 'utf8', stdio: 'pipe' });
      const places = [...said.matchAll(/(?:bitmap|table) at (\d+)/g)].map(([, block]) => Number(block));
      assert.ok(places.length >= 6, said);
      // The last place where libblkid looks for a header of LUKS2 is the block there.
      assert.ok(Math.min(...places) > 2 ** 22 / 4096, String(Math.min(...places)));
      assert.match(said, /^Filesystem volume name: +<none>$/m);
    });

  it('without one is as it is', async (t) => {
    const path = scratchDirectory(t, WITH_ATTRIBUTES);
    writeFileSync(join(path, 'file'), '');
    for (const state of [
      undefined,
      { type: 'directory', path },
      { type: 'directory', path: join(path, 'gone') },
    ] as const) {
      assert.equal(boundOf(state), undefined);
      assert.equal(await whileMounted(state, async () => 'done'), 'done');
    }
    unmountBound(path);
    assert.ok(existsSync(join(path, 'file')));
  });
});

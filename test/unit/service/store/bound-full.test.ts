/** A state with a bound on a disk that gets full. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { holdState } from '../../../../src/service/store/bound.js';
import { fillBound } from '../../../../src/service/store/bound-make.js';
import { mountStateOf } from '../../../../src/service/store/bound-mount.js';
import { isSystemError, SandboxError } from '../../../../src/util/errors.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { unlessRoot } from '../../../helpers/scratch.js';

const BYTES = 150_000_000;
/** More than a full disk has. */
const MUCH = 10 * 2 ** 20;

/** On a disk that can be filled. */
async function onDisk(t: TestContext) {
  const disk = new FullDisk(t, 'size=32M');
  const path = join(disk.path, 'state');
  const layers = join(path, 'layers');
  mkdirSync(path, { mode: 0o700 });
  await fillBound(path, BYTES, async () => writeFileSync(join(layers, 'file'), 'kept'));
  return { disk, path, layers, use: await holdState({ type: 'directory', path }) };
}

/** The kernel may say meanwhile that it has no room. */
function writeMuch(layers: string): void {
  try {
    writeFileSync(join(layers, 'much'), Buffer.alloc(MUCH));
  } catch (error) {
    assert.ok(
      ['EIO', 'ENOSPC', 'EROFS'].some((code) => isSystemError(error, code)),
      String(error),
    );
  }
}

describe('a state with a bound on a full disk', { skip: unlessRoot('it mounts') }, () => {
  it('is known to take nothing more before anybody has changed it', async (t) => {
    const { disk, path, use, layers } = await onDisk(t);
    disk.fill();
    writeMuch(layers);
    assert.equal(spawnSync('sync', ['-f', layers]).status, 1);
    assert.equal(await mountStateOf(path), 'read-only');
    disk.makeRoom();
    await use.renew();
    assert.equal(await mountStateOf(path), 'right');
    assert.equal(readFileSync(join(layers, 'file'), 'utf8'), 'kept');
    await use.end();
  });

  it('is mounted when there is room for what its journal has', async (t) => {
    const { disk, path, use, layers } = await onDisk(t);
    for (let number = 0; number < 300; number += 1) mkdirSync(join(layers, String(number)));
    spawnSync('sync', [join(layers, '299')]);
    disk.fill();
    writeMuch(layers);
    spawnSync('sync', ['-f', layers]);
    const renewed = await use.renew().then(
      () => undefined,
      (error: unknown) => error,
    );
    // The directories may have their blocks already: sync(2) of anybody on this host writes them.
    if (renewed !== undefined) {
      assert.ok(renewed instanceof SandboxError && renewed.code === 'service-bound-not-mounted', String(renewed));
      assert.match(renewed.message, /cannot be mounted: mount: \S+: \S/);
      assert.match(renewed.remedy, /^make room/);
    } else assert.ok(existsSync(join(layers, '299')));
    disk.makeRoom();
    await use.renew();
    assert.equal(await mountStateOf(path), 'right');
    assert.ok(existsSync(join(layers, '299')));
    await use.end();
  });
});

/** What serves an overlay that is kept in a directory: where, and who else does. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import { overlayShare } from '../../../../src/sandbox/devices/overlay.js';
import { overlayLink, prepareOverlay } from '../../../../src/sandbox/devices/overlay-server.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

interface Kept {
  readonly ground: string;
  readonly kept: string;
  readonly stateDirectory: string;
  readonly prepare: () => Promise<void>;
}

/** A sandbox with an overlay in `kept`, named by a link. */
async function keptIn(t: TestContext): Promise<Kept> {
  const ground = scratchDirectory(t);
  const kept = join(ground, 'kept');
  const stateDirectory = join(ground, 'state');
  for (const directory of [kept, stateDirectory]) mkdirSync(directory, { mode: 0o700 });
  symlinkSync(kept, join(ground, 'link'));
  const config = await configFromOptions({ command: ['/bin/true'], overlay: join(ground, 'link') });
  const shares = overlayShare(config, uniqueName());
  return { ground, kept, stateDirectory, prepare: () => prepareOverlay(config, shares, stateDirectory) };
}

describe('the server of an overlay', { skip: unlessRoot('the overlay is root’s') }, () => {
  it('has the directory that libvirt serves, wherever a link leads meanwhile', async (t) => {
    const { ground, kept, stateDirectory, prepare } = await keptIn(t);
    const other = join(ground, 'other');
    mkdirSync(other, { mode: 0o700 });
    rmSync(join(ground, 'link'));
    symlinkSync(other, join(ground, 'link'));
    await prepare();
    assert.deepEqual(
      [kept, other].map((path) => existsSync(join(path, 'layers/upper'))),
      [true, false],
    );
    assert.equal(readlinkSync(overlayLink(stateDirectory)), kept);
  });

  it('is not made if a link has taken the place of that directory', async (t) => {
    const { ground, kept, stateDirectory, prepare } = await keptIn(t);
    renameSync(kept, join(ground, 'away'));
    symlinkSync(join(ground, 'away'), kept);
    await assert.rejects(prepare, { code: 'overlay-directory-unsafe' });
    assert.equal(existsSync(join(ground, 'away/layers')), false);
    assert.equal(existsSync(overlayLink(stateDirectory)), false);
  });
});

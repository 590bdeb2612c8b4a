/** Copies the state of a service that stands still. */
import { constants, lstatSync } from 'node:fs';
import { chmod, open } from 'node:fs/promises';
import { lockOpenFile } from '../../oci/lock.js';
import { type KeptOverlay, keptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { checkOverlayImage, isImageInUse, refuseFurtherFile } from '../../sandbox/devices/overlay-image.js';
import { refuseUsedOverlay } from '../../sandbox/devices/overlay-server.js';
import { SandboxError } from '../../util/errors.js';
import type { Service } from '../types.js';
import { copyFile, copyTree } from './copy-tree.js';
import { stateOf } from './describe.js';
import { stateInUse, stateMissing } from './errors.js';

export interface StateCopy {
  readonly source: Service;
  /** For an image: nothing is there yet. For a directory: an empty one. */
  readonly to: string;
  /** The source runs, and stands still: it has its state in use. */
  readonly isRunning: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Refuses a source whose state is not there, or in use by something else.
 * @throws {SandboxError} `service-state-missing`, `service-state-in-use`, and what the checks of overlays throw
 */
export function checkSource(source: Service, isRunning: boolean): void {
  const { type, path } = stateOf(source);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw stateMissing(source.name, path);
  if (type === 'image') {
    checkOverlayImage(source.config);
    if (!isRunning && isImageInUse(path)) throw stateInUse(source.name, path);
    return;
  }
  const kept = keptOverlay(path);
  if (kept === undefined || isRunning) return;
  try {
    refuseUsedOverlay(kept);
  } catch (error) {
    if (error instanceof SandboxError && error.code === 'overlay-in-use') throw stateInUse(source.name, path);
    throw error;
  }
}

/**
 * @throws {SandboxError} `service-state-in-use`, `service-state-not-copied`, `tool-missing`, `aborted`, and what the
 *   checks of overlays throw
 */
export async function copyState(copy: StateCopy): Promise<void> {
  const { source, to, signal } = copy;
  const { type, path } = stateOf(source);
  const options = { source: source.name, signal };
  if (type === 'image') {
    await copyFile(path, to, options);
    await chmod(to, 0o600);
    refuseFurtherFile(to);
    return;
  }
  const kept = keptOverlay(path);
  // Without a record nothing was ever written there.
  if (kept !== undefined) await whileUnused(copy, kept, () => copyTree(path, to, options));
}

/** Nobody can take a machine's layers meanwhile: share-server takes the same lock. */
async function whileUnused({ source, isRunning }: StateCopy, kept: KeptOverlay, act: () => Promise<void>) {
  if (isRunning || kept.kind !== 'machine') {
    await act();
    return;
  }
  const layers = await open(kept.layers, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await lockOpenFile(layers, 'exclusive', {
      onWait: () => {
        throw stateInUse(source.name, kept.directory);
      },
    });
    await act();
  } finally {
    await layers.close();
  }
}

/** Copies the state of a service that stands still. */
import { lstatSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { isBound } from '../../sandbox/devices/overlay-bound.js';
import { type KeptOverlay, keptOverlay, layersOf } from '../../sandbox/devices/overlay-directory.js';
import { checkOverlayImage, isImageInUse, refuseFurtherFile } from '../../sandbox/devices/overlay-image.js';
import { RECORD } from '../../sandbox/devices/overlay-record.js';
import { refuseUsed, stateInUse, whileUnused } from '../store/unused.js';
import type { Service } from '../types.js';
import { type CopyOptions, copyFile, copyTree } from './copy-tree.js';
import { stateOf } from './describe.js';
import { stateMissing } from './errors.js';

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
  if (kept !== undefined && !isRunning) refuseUsed(source.name, kept);
}

/**
 * @throws {SandboxError} `service-state-not-copied`, `tool-missing`, `aborted`, and what `whileUnused` and the checks
 *   of overlays throw
 */
export async function copyState(copy: StateCopy): Promise<void> {
  const { source, to, isRunning, signal } = copy;
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
  if (kept === undefined) return;
  const copyAll = () => (isBound(kept.directory) ? copyBound(kept, to, options) : copyTree(path, to, options));
  if (isRunning) await copyAll();
  else await whileUnused(source.name, kept, signal, copyAll);
}

/** The copy has a file system of its own. */
async function copyBound({ directory, layers }: KeptOverlay, to: string, options: CopyOptions): Promise<void> {
  await copyTree(layers, layersOf(to), options);
  await copyFile(join(directory, RECORD), join(to, RECORD), options);
}

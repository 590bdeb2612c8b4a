/** virt-sandbox-bake create --warm: boots a machine from the new image and saves it. */
import { constants } from 'node:os';
import { join, relative } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import { sizeOf } from '../../image/inspect/inventory.js';
import { bakeSnapshot } from '../../sandbox/bake.js';
import { bakePrepared } from '../../sandbox/bake-prepared.js';
import type { Preparation } from '../../sandbox/preparation.js';
import type { Observers } from '../../sandbox/types.js';
import { SandboxError } from '../../util/errors.js';
import { absolutePath } from '../../util/working-directory.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { type BakeArguments, textOf } from './arguments.js';
import type { ForSandbox } from './for-sandbox.js';

/** What create --warm reports. The names are keys of its JSON. */
export interface SnapshotResult {
  /** Directory of the snapshot. */
  readonly warm: string;
  /** Bytes on the disk. */
  readonly warmSize: number;
  readonly slots: Slots;
  /** What its root is served over. One over virtiofs serves no sandbox without. */
  readonly rootFs: '9p' | 'virtiofs';
}

interface SnapshotOf extends Pick<ForSandbox, 'config' | 'described' | 'request'> {
  /** What runs in the machine before it is saved; undefined: nothing. */
  readonly preparation: Preparation | undefined;
}

/**
 * @param directory of the boot image
 * @throws {SandboxError} as {@link bakeSnapshot}; with exit status 128+N if signal N cancelled it
 */
export async function createSnapshot(
  args: BakeArguments,
  { config, described, request, preparation }: SnapshotOf,
  slots: Slots,
  directory: string,
  observers: Pick<Observers, 'onProgress' | 'onFallback'>,
): Promise<SnapshotResult> {
  const connect = textOf(args, 'connect') ?? request.connect;
  const kernel = { version: undefined, path: undefined, modulesPath: undefined };
  const start = cancelOnSignal();
  const options = { ...observers, image: directory, connect, profile: request.profile, signal: start.abort };
  const name = textOf(args, 'name') ?? '';
  const baking =
    preparation === undefined
      ? bakeSnapshot({ ...config, kernel }, slots, options)
      : bakePrepared({ ...described, kernel }, preparation, { name, slots }, options);
  const baked = await baking
    .catch((error: unknown) => {
      throw start.signal === undefined ? error : endedBy(start.signal, error);
    })
    .finally(start.release);
  // With --output, `directory` is a temporary name of the copy; report the final one.
  const output = textOf(args, 'output');
  const warm =
    output === undefined ? baked.directory : join(absolutePath(output), relative(directory, baked.directory));
  return { warm, warmSize: sizeOf(baked.directory), slots, rootFs: baked.record.root ?? '9p' };
}

/** The same failure, with the exit status of a program that the signal has ended. */
function endedBy(signal: NodeJS.Signals, error: unknown): unknown {
  if (!(error instanceof SandboxError)) return error;
  const { stage, code, message, remedy } = error;
  return new SandboxError({ stage, code, message, remedy, exitCode: 128 + constants.signals[signal], cause: error });
}

/** virt-sandbox-bake create --warm */
import { constants } from 'node:os';
import { join, relative } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import type { SandboxConfig } from '../../config/types.js';
import { sizeOf } from '../../image/inspect/inventory.js';
import { bakeSnapshot } from '../../sandbox/bake.js';
import { SandboxError } from '../../util/errors.js';
import { absolutePath } from '../../util/working-directory.js';
import type { Arguments } from '../sandbox/arguments.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { type BakeArguments, textOf } from './arguments.js';

/** What is said of a warm image. */
export interface WarmResult {
  readonly warm: string;
  /** Bytes on the disk. */
  readonly warmSize: number;
  readonly slots: Slots;
}

/**
 * @param directory of the boot image
 * @param request the sandbox's options, of which it is for one
 */
export async function createWarm(
  args: BakeArguments,
  config: SandboxConfig,
  request: Arguments,
  slots: Slots,
  directory: string,
  onProgress: (message: string) => void,
): Promise<WarmResult> {
  const connect = textOf(args, 'connect') ?? request.connect;
  const machine = { ...config, kernel: { version: undefined, path: undefined, modulesPath: undefined } };
  const start = cancelOnSignal();
  const options = { image: directory, connect, profile: request.profile, onProgress, signal: start.abort };
  const baked = await bakeSnapshot(machine, slots, options)
    .catch((error: unknown) => {
      throw start.signal === undefined ? error : endedBy(start.signal, error);
    })
    .finally(start.release);
  // A copy of the image takes its place with the saved machine in it.
  const output = textOf(args, 'output');
  const warm =
    output === undefined ? baked.directory : join(absolutePath(output), relative(directory, baked.directory));
  return { warm, warmSize: sizeOf(baked.directory), slots };
}

/** The same failure, with the exit status of a program that a signal has ended. */
function endedBy(signal: NodeJS.Signals, error: unknown): unknown {
  if (!(error instanceof SandboxError)) return error;
  const { stage, code, message, remedy } = error;
  return new SandboxError({ stage, code, message, remedy, exitCode: 128 + constants.signals[signal], cause: error });
}

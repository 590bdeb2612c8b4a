/** virt-sandbox-bake create --warm */
import { join, relative, resolve } from 'node:path';
import type { Slots } from '../config/slots.js';
import type { SandboxConfig } from '../config/types.js';
import { sizeOf } from '../image/inventory.js';
import { bakeWarm } from '../sandbox/warm-bake.js';
import type { Arguments } from './arguments.js';
import { type BakeArguments, textOf } from './bake-arguments.js';

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
  const baked = await bakeWarm(
    { ...config, kernel: { version: undefined, path: undefined, modulesPath: undefined } },
    slots,
    { image: directory, connect, profile: request.profile, onProgress },
  );
  // A copy of the image takes its place with the saved machine in it.
  const output = textOf(args, 'output');
  const warm = output === undefined ? baked.directory : join(resolve(output), relative(directory, baked.directory));
  return { warm, warmSize: sizeOf(baked.directory), slots };
}

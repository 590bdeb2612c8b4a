/** virt-sandbox-bake create --warm */
import { resolve } from 'node:path';
import type { Slots } from '../config/slots.js';
import type { SandboxConfig } from '../config/types.js';
import type { CreatedImage } from '../image/create.js';
import { sizeOf } from '../image/inventory.js';
import { bakeWarm } from '../sandbox/warm-bake.js';
import type { Arguments } from './arguments.js';
import { type BakeArguments, textOf } from './bake-arguments.js';

/** What is said of a warm image. */
interface WarmResult {
  readonly warm: string;
  /** Bytes on the disk. */
  readonly warmSize: number;
  readonly slots: Slots;
}

/** @param request the sandbox's options, of which it is for one */
export async function createWarm(
  args: BakeArguments,
  config: SandboxConfig,
  request: Arguments,
  slots: Slots,
  image: CreatedImage,
  onProgress: (message: string) => void,
): Promise<WarmResult> {
  const connect = textOf(args, 'connect') ?? request.connect;
  const { directory } = await bakeWarm(
    { ...config, kernel: { version: undefined, path: undefined, modulesPath: undefined } },
    slots,
    {
      image: image.output === undefined ? image.directory : resolve(image.output),
      connect,
      profile: request.profile,
      onProgress,
    },
  );
  return { warm: directory, warmSize: sizeOf(directory), slots };
}

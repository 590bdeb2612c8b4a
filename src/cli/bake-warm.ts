/** virt-sandbox-bake create --warm */
import { resolve } from 'node:path';
import { parseWhole } from '../config/number.js';
import type { SandboxConfig } from '../config/types.js';
import type { CreatedImage } from '../image/create.js';
import { sizeOf } from '../image/inventory.js';
import type { Slots } from '../image/warm.js';
import { bakeWarm } from '../sandbox/warm-bake.js';
import { DEFAULT_SLOTS } from '../sandbox/warm-machine.js';
import type { Arguments } from './arguments.js';
import { type BakeArguments, textOf, usageError } from './bake-arguments.js';

/** More would not find a place on the machine's bus. */
const MOST_MOUNTS = 27;

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
  image: CreatedImage,
  onProgress: (message: string) => void,
): Promise<WarmResult> {
  const slots = slotsOf(textOf(args, 'slots'));
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

/** `mounts=4` */
function slotsOf(text: string | undefined): Slots {
  if (text === undefined) return DEFAULT_SLOTS;
  const slots: { mounts: number } = { ...DEFAULT_SLOTS };
  for (const part of text.split(',')) {
    const [kind, count = ''] = part.split('=');
    if (kind !== 'mounts') throw usageError(`--slots takes mounts=NUMBER, and not ${part}`);
    slots.mounts = parseWhole(count, '--slots mounts', 0, MOST_MOUNTS);
  }
  return slots;
}

/** The boot images of one start: finds, opens or builds them. */

import type { SandboxConfig } from '../../config/types.js';
import { type BootImage, defaultStoreDirectory, findKnownImage, resolveImage } from '../../image/resolve.js';
import type { ImportedSnapshots, SnapshotWish } from '../../image/snapshot/import.js';
import { snapshotsIn } from '../../image/snapshot/record.js';
import type { ImageOptions } from '../../image/types.js';
import type { Profile } from '../../profile/types.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { hostProgram } from '../../util/programs.js';
import { imageChoices } from '../image-choices.js';
import type { LaunchOptions } from '../types.js';

/**
 * Looks up each image once. A lookup stats every file that the image is made of, the kernel first, to see whether the
 * answer of an earlier start still holds.
 */
export class BootImages {
  readonly #config: SandboxConfig;
  readonly #profile: Profile;
  readonly #options: LaunchOptions;
  readonly #debugShell: boolean;
  /** Images by module sets; undefined: looked up, and not known. */
  readonly #answers = new Map<string, BootImage | undefined>();

  /** @param debugShell the image needs a shell for a breakpoint before the root is mounted */
  constructor(config: SandboxConfig, profile: Profile, options: LaunchOptions, debugShell: boolean) {
    this.#config = config;
    this.#profile = profile;
    this.#options = options;
    this.#debugShell = debugShell;
  }

  /** Name or path of the image that the user named; undefined: none. */
  get named(): string | undefined {
    return this.#options.image ?? this.#config.image;
  }

  /** The image that would be built now with these module sets, if it exists. Nothing is built. */
  known(sets: readonly string[]): BootImage | undefined {
    const key = keyOf(sets);
    if (!this.#answers.has(key)) this.#answers.set(key, findKnownImage(this.#request(sets)));
    return this.#answers.get(key);
  }

  /**
   * The snapshots of the named image, or else of all in the store.
   * @throws {SandboxError} those of opening an image; `store-not-writable`, `disk-full`
   */
  async snapshots(wish: SnapshotWish): Promise<ImportedSnapshots> {
    if (this.named === undefined) return { snapshots: snapshotsIn(defaultStoreDirectory()), refused: [] };
    const { namedSnapshots } = await import('../snapshot/named.js');
    return namedSnapshots(this.named, wish);
  }

  /**
   * The named image, or else the one with these module sets, which is built if it does not exist.
   * @throws {SandboxError} `image-without-shell`, `image-with-kernel`, and those of opening or building an image
   */
  async find(sets: readonly string[]): Promise<BootImage> {
    if (this.named !== undefined) return this.#open(this.named, sets);
    const key = keyOf(sets);
    const image = this.#answers.get(key) ?? (await resolveImage(this.#request(sets)));
    this.#answers.set(key, image);
    return image;
  }

  #request(sets: readonly string[]): ImageOptions {
    const { onProgress } = this.#options;
    return {
      kernel: this.#config.kernel,
      sets,
      nativeInit: hostProgram('init'),
      ...(this.#debugShell ? { debugShell: true } : {}),
      ...imageChoices(this.#profile),
      ...(onProgress ? { onProgress } : {}),
    };
  }

  async #open(called: string, sets: readonly string[]): Promise<BootImage> {
    if (this.#debugShell) throw noShellIn(called);
    const { openImage } = await import('../../image/store/open-image.js');
    const image = await openImage(called, sets);
    refuseKernelChoice(this.#config, called, image.kernelVersion);
    return image;
  }
}

function keyOf(sets: readonly string[]): string {
  return sets.join(' ');
}

function noShellIn(image: string): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'image-without-shell',
    message: `the boot image ${image} has no shell for a breakpoint before the root is mounted`,
    remedy: `leave out ${option('image')}, or stop before a later step`,
  });
}

/** Refuses another kernel than the image's. A sandbox.cfg may name the image's own version. */
function refuseKernelChoice({ kernel }: SandboxConfig, image: string, version: string): void {
  const same = kernel.version === undefined || kernel.version === version;
  if (same && kernel.path === undefined && kernel.modulesPath === undefined) return;
  throw new SandboxError({
    stage: 'config',
    code: 'image-with-kernel',
    message: `the boot image ${image} has kernel ${version}, and another was asked for`,
    remedy: `leave out ${option('image')}, or ${option('kernel.version')}, ${option('kernel.path')} and ${option('kernel.modulesPath')}`,
  });
}

/** Counts what an image has while its layers are merged, and refuses what is more than limits.ts allows. */
import type { SandboxError } from '../../util/errors.js';
import {
  MOST_DEVICES,
  MOST_ENTRIES,
  MOST_NAME_BYTES,
  MOST_PATH_BYTES_IN_ALL,
  MOST_STEPS_IN_ALL,
  MOST_XATTR_MEMORY,
} from '../limits.js';
import type { TarEntry } from '../tar/reader.js';
import { EntryError, tooMuch } from './errors.js';
import type { Tree } from './tree.js';
import { checkXattrs } from './xattrs.js';

/** The largest number of a user or a group; the one above means none. */
const MOST_ID = 2 ** 32 - 2;
/** The largest numbers of a device: 12 and 20 bits, as in Linux and in EROFS. */
const MOST_MAJOR = 2 ** 12 - 1;
const MOST_MINOR = 2 ** 20 - 1;

/** Most that an image may have. */
export interface MergeLimits {
  /** With the directories that no entry names. */
  readonly entries: number;
  readonly devices: number;
  /** Bytes of memory for the attributes of all entries. */
  readonly xattrs: number;
  /** Bytes of the whole paths of all that is there. */
  readonly paths: number;
  /** Parts of paths that are gone through for all entries. */
  readonly steps: number;
}

const LIMITS: MergeLimits = {
  entries: MOST_ENTRIES,
  devices: MOST_DEVICES,
  xattrs: MOST_XATTR_MEMORY,
  paths: MOST_PATH_BYTES_IN_ALL,
  steps: MOST_STEPS_IN_ALL,
};

/**
 * Refuses an entry that has what no system has, and what no image can be written with.
 * @returns bytes of memory that its attributes take, at most
 * @throws {EntryError}
 */
export function checkEntry({ type, uid, gid, major, minor, xattrs }: TarEntry): number {
  const kept = xattrs.size > 0 ? checkXattrs(xattrs) : 0;
  for (const id of [uid, gid]) if (id < 0 || id > MOST_ID) throw new EntryError('has an owner that no system has');
  if (major < 0 || major > MOST_MAJOR || minor < 0 || minor > MOST_MINOR)
    throw new EntryError('is a device that no system has');
  // As a layer of an overlay it would hide what it is not meant to: Linux, fs/overlayfs, WHITEOUT_DEV.
  if (type === 'character' && major === 0 && minor === 0)
    throw new EntryError('is the device 0:0, which overlays take for a removed file');
  return kept;
}

export class Budget {
  readonly #most: MergeLimits;
  #entries = 0;
  #devices = 0;
  #xattrs = 0;
  #steps = 0;
  #which = '';
  /** The entry that is merged. */
  #name = '';

  constructor(
    private readonly tree: Tree,
    most: Partial<MergeLimits>,
  ) {
    this.#most = { ...LIMITS, ...most };
  }

  /** @param which names the layer, for errors */
  beginLayer(which: string): void {
    this.#which = which;
  }

  /**
   * An entry, before it is merged.
   * @throws {EntryError} it has what no system has
   * @throws {SandboxError} `layer-too-large`
   */
  count(entry: TarEntry): void {
    const { name, type } = entry;
    this.#name = name;
    this.countName();
    const { devices, xattrs: most } = this.#most;
    if (type === 'character' || type === 'block') this.#devices += 1;
    this.#xattrs += checkEntry(entry);
    if (this.#devices > devices) throw this.tooMuch(`device node ${devices + 1} of an image`);
    if (this.#xattrs > most) throw this.tooMuch(`attributes that make more than ${most} bytes in an image`);
  }

  /**
   * An entry, or a directory that is made for one: an entry may make thousands.
   * @throws {SandboxError} `layer-too-large`
   */
  countName(): void {
    const { entries, paths } = this.#most;
    this.#entries += 1;
    if (this.#entries > entries) throw this.tooMuch(`entry ${entries + 1} of an image, with the directories for them`);
    if (this.tree.pathBytes > paths) throw this.tooMuch(`paths of more than ${paths} bytes in an image`);
    if (this.tree.texts.length > MOST_NAME_BYTES) throw this.tooMuch(`more than ${MOST_NAME_BYTES} bytes of names`);
  }

  /**
   * Parts of a path. Without a bound in all, entries that are few bytes would take hours.
   * @throws {SandboxError} `layer-too-large`
   */
  countSteps(count: number): void {
    this.#steps += count;
    if (this.#steps > this.#most.steps) throw this.tooMuch(`paths of more than ${this.#most.steps} parts in an image`);
  }

  /** @param what stands behind the layer and `has` */
  tooMuch(what: string): SandboxError {
    return tooMuch(this.#which, what, this.#name);
  }
}

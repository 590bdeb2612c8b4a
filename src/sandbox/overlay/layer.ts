/** What differs from a root: the upper layer of an overlay. */
import type { BigIntStats } from 'node:fs';
import { SandboxError } from '../../util/errors.js';

/** What is compared of a file. */
export interface Entry extends Pick<BigIntStats, 'mode' | 'uid' | 'gid' | 'size' | 'mtimeNs'> {
  /** Undefined: not known. */
  readonly rdev?: bigint | undefined;
}

/** A name of the root that is gone. */
export const WHITEOUT = 'whiteout';

/** A name of the root that is there, of which nothing else is known. */
export const UNKNOWN = 'unknown';

/** What a directory of the layer lies over: that of its own name, nothing, or another one of the root. */
export type Origin = 'same' | 'none' | { readonly redirect: Buffer };

/** The way down a layer. Names are bytes, one a letter. */
export interface UpperLayer {
  /**
   * Those in the directory that was entered last.
   * @param take called for each, before the next one is read; it throws if there are too many
   */
  names(take: (name: string) => void): void;
  /** Undefined: it is gone. */
  look(name: string): Entry | typeof WHITEOUT | undefined;
  /** Where the symbolic link leads; undefined: it is gone. */
  target(name: string): string | undefined;
  /** False if it is no directory any more. */
  enter(name: string): boolean;
  /** Goes back to the directory above. */
  leave(): void;
  /** Of the directory that was entered last. */
  origin(): Origin;
}

/** Where a directory of the layer leads: from the top of the overlay, or beside it. */
export interface Redirect {
  readonly isAbsolute: boolean;
  readonly names: readonly string[];
}

/** The way down what a layer lies over. Names are bytes, one a letter. */
export interface LowerLayer {
  stat(name: string): Entry | typeof UNKNOWN | undefined;
  /** Where the symbolic link leads; undefined: it is none, or closed. */
  target(name: string): string | undefined;
  /** Those in the directory that was entered last. */
  names(): string[];
  /** False if the sandbox sees no such directory, or an empty one. */
  enter(name: string): boolean;
  leave(): void;
  /**
   * The directory that a redirect names.
   * @returns for the caller to close; undefined: there is no such directory
   */
  redirected(redirect: Redirect): LowerLayer | undefined;
  close(): void;
}

/** Each takes room on the stack. Programs make no such trees: a path has at most 4096 bytes. */
export const MOST_DEPTH = 1000;

/**
 * How much memory names may take, about in bytes: some millions of paths. A guest can make more than this process has
 * memory for.
 */
export const MOST_MEMORY = 512 * 2 ** 20;

/** How much memory may still go to names, about in bytes. */
export class Room {
  #left: number;
  readonly #tooLarge: () => SandboxError;

  /** @param tooLarge the error for more */
  constructor(bytes: number, tooLarge: () => SandboxError) {
    this.#left = bytes;
    this.#tooLarge = tooLarge;
  }

  /** @throws {SandboxError} if there is no more */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw this.#tooLarge();
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** What a string takes besides its letters. */
const STRING_BYTES = 64;

export function costOf(name: string | Buffer): number {
  return name.length + STRING_BYTES;
}

export function tooDeep(path: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'overlay-too-deep',
    message: `the overlay has directories within directories, more than ${MOST_DEPTH}: ${path.slice(0, 100)}…`,
    remedy: 'remove them in a sandbox with that overlay',
  });
}

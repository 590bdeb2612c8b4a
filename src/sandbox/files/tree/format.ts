/** Trees of files as a stream, the numbers: docs/protocol.md, "Trees". init/native/builtins/tree.h has the same. */

export const TreeRecord = {
  DIRECTORY: 1,
  LEAVE: 2,
  FILE: 3,
  EXTENT: 4,
  FILE_END: 5,
  LINK: 6,
  FIFO: 7,
  SKIPPED: 8,
  END: 9,
  SHARED_FILE: 10,
  HARD_LINK: 11,
} as const;

/** Why an entry is not in the tree. */
export const SkipReason = { SOCKET: 1, DEVICE: 2, VANISHED: 3 } as const;

/** What `unpack` reports: the file system inside does not keep it. */
export const Lost = { MODE: 1, TIME: 2 } as const;

/** Of FILE_END: less could be read than the file's size, or it became shorter. */
export const SHRANK = 1;

export const MODE_BITS = 0o7777;
export const MAX_NAME_BYTES = 255;
export const MAX_TARGET_BYTES = 4095;
export const MAX_EXTENT_BYTES = 1_048_576;
/** Directories in each other. */
export const MAX_DEPTH = 4096;
/** Of files with several names: of one path in the tree, of all together, and how many there are. */
export const MAX_SHARED_PATH_BYTES = 4095;
export const MAX_SHARED_BYTES = 16_777_216;
export const MAX_SHARED_FILES = 65_536;

/** Mode, and time of last change of the content. */
export interface TreeMeta {
  /** Permission bits of st_mode: {@link MODE_BITS}. */
  readonly mode: number;
  readonly seconds: bigint;
  /** Less than 10^9. */
  readonly nanoseconds: number;
}

/** Takes the entries of a tree, in order. The root's name has no bytes. */
export interface TreeSink {
  /** What follows is in it, until it is left. */
  directory(name: Buffer, meta: TreeMeta): void;
  leave(): void;
  /** Its extents and its end follow. @param isShared it has the next number, and further names of it may come */
  file(name: Buffer, meta: TreeMeta, size: number, isShared: boolean): void;
  /** Another name of the shared file of that number, which has ended. Nothing else is called before it settles. */
  hardLink(name: Buffer, number: number): Promise<void>;
  extent(offset: number, bytes: Buffer): void;
  fileEnd(hasShrunk: boolean): void;
  link(name: Buffer, meta: TreeMeta, target: Buffer): void;
  /** Nothing else is called before it settles. */
  fifo(name: Buffer, meta: TreeMeta): Promise<void>;
  /** @param reason one of {@link SkipReason} */
  skipped(name: Buffer, reason: number): void;
}

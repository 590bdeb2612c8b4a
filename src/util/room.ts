/** Room in the file system of a directory. */
import { statfs } from 'node:fs/promises';

/** What stays free: so much, or this part of a smaller file system. */
const LEFT = { bytes: 2 ** 30, inodes: 2 ** 16, part: 1 / 20 } as const;

export interface Free {
  /** What an ordinary user may still take; what a quota leaves is not known. */
  readonly free: number;
  /** What of this is left to others: whoever made an image or an archive decides how large it is. */
  readonly left: number;
}

export interface Room {
  readonly bytes: Free;
  /** Each file takes one. */
  readonly inodes: Free;
  /** Bytes that a file takes at a time. */
  readonly block: number;
}

/** @throws the error of a system call */
export async function roomIn(directory: string): Promise<Room> {
  // Of what is kept for root (`bfree`) those of root take nothing either.
  const { bavail, blocks, bsize, ffree, files } = await statfs(directory);
  // Some file systems do not say, or make inodes of what is free.
  const bytes = freeOf(bavail * bsize, blocks * bsize, LEFT.bytes);
  return { bytes, inodes: freeOf(ffree, files, LEFT.inodes), block: bsize };
}

function freeOf(free: number, all: number, most: number): Free {
  if (all === 0) return { free: Number.POSITIVE_INFINITY, left: 0 };
  return { free, left: Math.min(most, Math.ceil(LEFT.part * all)) };
}

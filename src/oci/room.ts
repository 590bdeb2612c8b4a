/** Room on the disk of a directory. */
import { statfs } from 'node:fs/promises';
import { imageError } from '../oci-names/errors.js';
import type { SandboxError } from '../util/errors.js';

/** What an image leaves free: so many bytes, or this part of a smaller disk. */
const LEFT = { bytes: 2 ** 30, part: 1 / 20 } as const;

interface Room {
  /** Bytes that an ordinary user may still write; what a quota leaves is not known. */
  readonly free: number;
  /** Bytes of these that images leave to others: whoever made an image decides how large it is. */
  readonly left: number;
}

/** @throws the error of a system call */
export async function roomIn(directory: string): Promise<Room> {
  // Of what is kept for root (`bfree`) root's images take nothing either.
  const { bavail, blocks, bsize } = await statfs(directory);
  // Some file systems do not say.
  if (blocks === 0) return { free: Number.POSITIVE_INFINITY, left: 0 };
  return { free: bavail * bsize, left: Math.min(LEFT.bytes, Math.ceil(LEFT.part * blocks * bsize)) };
}

/**
 * Refuses work that needs more room than there is, before it begins.
 * @throws {SandboxError} `disk-full`
 */
export async function refuseWithoutRoom(directory: string, bytes: number): Promise<void> {
  const { free, left } = await roomIn(directory);
  if (bytes === 0 || bytes <= free - left) return;
  const more = `, which takes ${bytes} bytes: ${free} are free, and ${left} have to stay free`;
  throw diskFull(directory, undefined, more);
}

/** @param more stands behind `for an image` */
export function diskFull(directory: string, cause: unknown, more = ''): SandboxError {
  return imageError(
    'disk-full',
    `no space is left in ${directory} for an image${more}`,
    'free some there, remove images, or set XDG_CACHE_HOME to a directory with space',
    cause,
  );
}

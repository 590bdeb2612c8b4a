/** Room on the disk of a directory. */
import { statfs } from 'node:fs/promises';
import { imageError } from '../oci-names/errors.js';
import type { SandboxError } from '../util/errors.js';

/**
 * Bytes that this user may still write there; what a quota leaves is not known.
 * @throws the error of a system call
 */
export async function roomIn(directory: string): Promise<number> {
  const { bavail, bfree, blocks, bsize } = await statfs(directory);
  // Some file systems do not say.
  if (blocks === 0) return Number.POSITIVE_INFINITY;
  return (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
}

/**
 * Refuses work that needs more room than there is, before it begins.
 * @throws {SandboxError} `disk-full`
 */
export async function refuseWithoutRoom(directory: string, bytes: number): Promise<void> {
  const room = await roomIn(directory);
  if (room < bytes) throw diskFull(directory, undefined, `, which takes ${bytes} bytes of ${room}`);
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

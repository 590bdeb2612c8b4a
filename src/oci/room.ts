/** Room for images. */
import { imageError } from '../oci-names/errors.js';
import type { SandboxError } from '../util/errors.js';
import { roomIn } from '../util/room.js';

/**
 * Refuses work that needs more room than there is, before it begins.
 * @throws {SandboxError} `disk-full`
 */
export async function refuseWithoutRoom(directory: string, bytes: number): Promise<void> {
  const { free, left } = (await roomIn(directory)).bytes;
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

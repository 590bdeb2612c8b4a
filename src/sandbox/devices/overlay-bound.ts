/**
 * The bound of an overlay in a directory: a file system of its own for `layers`, in a file beside it.
 *
 * Its blocks are written by this host's kernel alone: mke2fs of the host has made it, no guest has it as a disk, and no
 * archive brings one along. So the kernel reads nothing there that an attacker has chosen block by block.
 */
import { existsSync, lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';

/** The file, in the directory that keeps the overlay. */
export const BOUND = 'layers.ext4';

const LAYERS = 'layers';

/** Whether the overlay in that directory has a bound. */
export function isBound(directory: string): boolean {
  return lstatSync(join(directory, BOUND), { throwIfNoEntry: false }) !== undefined;
}

/** Whether a file system is mounted on the layers of that directory. */
export function hasMountedLayers(directory: string): boolean {
  const layers = lstatSync(join(directory, LAYERS), { bigint: true, throwIfNoEntry: false });
  return layers !== undefined && layers.dev !== lstatSync(directory, { bigint: true }).dev;
}

/**
 * Whether that is the mount point of such a file system, which is nobody's but its service's.
 * @param mountPoint of a local file system
 */
export function isOfBound(mountPoint: string): boolean {
  const directory = dirname(mountPoint);
  if (basename(mountPoint) !== LAYERS || !existsSync(join(directory, BOUND))) return false;
  const { uid, mode } = lstatSync(directory);
  return uid === 0 && (mode & 0o077) === 0;
}

/**
 * Without its mount the directory would look empty.
 * @throws {SandboxError} `overlay-not-mounted`
 */
export function refuseUnmounted(directory: string): void {
  if (!isBound(directory) || hasMountedLayers(directory)) return;
  throw configError(
    'overlay-not-mounted',
    `the overlay in ${quote(directory)} is on a file system of its own, ${BOUND}, which is not mounted`,
    'start its service, which mounts it: virt-sandbox-service start NAME',
  );
}

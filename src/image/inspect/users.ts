/**
 * Finds the machines that run from an image by their command lines: QEMU gets the paths of kernel and initrd, or of a
 * snapshot's memory. This finds machines of other users too, and machines whose launcher is gone.
 */

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { memoryPathIn } from '../snapshot/qemu-memory.js';
import { SNAPSHOTS_DIRECTORY } from '../snapshot/record.js';

/** A running machine. */
export interface ImageUser {
  readonly pid: number;
  /** Name of its domain; undefined if libvirt did not start it. */
  readonly name: string | undefined;
}

/** The running QEMUs by the image they run from: the real path of its directory. */
export function imageUsers(): Map<string, ImageUser[]> {
  const users = new Map<string, ImageUser[]>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    // The process may end at any moment.
    const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0'), []);
    const used = imageOf(words);
    if (used === undefined) continue;
    // The image's directory may just have been moved away, but its parent exists.
    const directory = realImageDirectory(used);
    const name = /^guest=([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
    users.set(directory, [...(users.get(directory) ?? []), { pid: Number(pid), name }]);
  }
  return users;
}

/** The image's directory in the arguments of a QEMU; undefined if there is none. */
function imageOf(words: readonly string[]): string | undefined {
  const kernel = words.includes('-kernel') ? words[words.indexOf('-kernel') + 1] : undefined;
  if (kernel !== undefined) return dirname(kernel);
  const memory = words.flatMap((word) => memoryPathIn(word) ?? [])[0];
  const above = memory && dirname(dirname(memory));
  return above && basename(above) === SNAPSHOTS_DIRECTORY ? dirname(above) : undefined;
}

/** An image's directory with symbolic links above it resolved. */
export function realImageDirectory(directory: string): string {
  const above = dirname(directory);
  return join(
    valueOr(() => realpathSync(above), above),
    basename(directory),
  );
}

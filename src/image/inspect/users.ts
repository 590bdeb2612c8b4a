/**
 * The machines that run from an image, by their command lines: QEMU is told kernel and initrd by their paths, or the memory of a saved machine. It
 * finds those of other users too, and those whose launcher is gone.
 */

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { memoryPathIn } from '../snapshot/qemu-memory.js';
import { SNAPSHOTS_DIRECTORY } from '../snapshot/snapshot.js';

/** A machine that runs. */
export interface ImageUser {
  readonly pid: number;
  /** Of its domain; undefined where libvirt did not start it. */
  readonly name: string | undefined;
}

/** Every running QEMU that goes on from what is in an image's directory, by that directory's real path. */
export function imageUsers(): Map<string, ImageUser[]> {
  const users = new Map<string, ImageUser[]>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    // A process may end while it is looked at.
    const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0'), []);
    const used = imageOf(words);
    if (used === undefined) continue;
    // The directory itself may just have been moved away; the one above it is there.
    const directory = realImageDirectory(used);
    const name = /^guest=([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
    users.set(directory, [...(users.get(directory) ?? []), { pid: Number(pid), name }]);
  }
  return users;
}

/** The directory of the boot image that a QEMU with these arguments has. */
function imageOf(words: readonly string[]): string | undefined {
  const kernel = words.includes('-kernel') ? words[words.indexOf('-kernel') + 1] : undefined;
  if (kernel !== undefined) return dirname(kernel);
  const memory = words.flatMap((word) => memoryPathIn(word) ?? [])[0];
  const above = memory && dirname(dirname(memory));
  return above && basename(above) === SNAPSHOTS_DIRECTORY ? dirname(above) : undefined;
}

/** An image's directory without symbolic links above it. */
export function realImageDirectory(directory: string): string {
  const above = dirname(directory);
  return join(
    valueOr(() => realpathSync(above), above),
    basename(directory),
  );
}

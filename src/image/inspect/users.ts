/**
 * Finds the machines that run from an image by their command lines: QEMU gets the paths of kernel and initrd, or of a
 * snapshot's memory. This finds machines of other users too, and machines whose launcher is gone.
 */

import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { isQemuUid } from '../../util/qemu-ids.js';
import { firstOptionIn } from '../../util/qemu-options.js';
import { printable } from '../archive/newc.js';
import { memoryPathIn } from '../snapshot/qemu-memory.js';
import { SNAPSHOT_MEMORY, SNAPSHOTS_DIRECTORY } from '../snapshot/record.js';

/** A running machine. */
export interface ImageUser {
  readonly pid: number;
  /** Name of its domain, for people; undefined if libvirt did not start it. */
  readonly name: string | undefined;
  /**
   * It is this user's, root's or a QEMU of root's, or has the snapshot's memory mapped. Anybody can start a process
   * with any command line, so for any other the image needs a lease too.
   */
  readonly isCertain: boolean;
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
    const name = firstOptionIn(words[words.indexOf('-name') + 1] ?? '', 'guest') || undefined;
    const isCertain = isTrusted(pid) || mapsMemoryIn(dirname(directory), pid);
    const user = { pid: Number(pid), name: name && printable(name), isCertain };
    users.set(directory, [...(users.get(directory) ?? []), user]);
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

/**
 * Whether a process is root's, one of root's QEMUs, or this user's. The owner of its directory in /proc is not always
 * its user.
 */
function isTrusted(pid: string): boolean {
  const status = valueOr(() => readFileSync(`/proc/${pid}/status`, 'latin1'), '');
  const uid = /^Uid:\t\d+\t(\d+)/m.exec(status)?.[1];
  return uid === '0' || uid === String(process.geteuid?.()) || (uid !== undefined && isQemuUid(Number(uid)));
}

/**
 * Whether a process has the memory of a snapshot mapped that is in `store`, also one that was just moved there. False
 * for a process whose mappings this user may not see.
 */
function mapsMemoryIn(store: string, pid: string): boolean {
  const mappings = valueOr(() => readFileSync(`/proc/${pid}/maps`, 'latin1'), '');
  return mappings.split('\n').some((line) => {
    const [, , , , inode] = line.split(/ +/);
    const path = line.slice(line.indexOf('/'));
    if (!path.startsWith(`${store}/`) || basename(path) !== SNAPSHOT_MEMORY) return false;
    // In another mount namespace the path may be that of another file.
    return valueOr(() => String(statSync(path, { bigint: true }).ino) === inode, false);
  });
}

/** An image's directory with symbolic links above it resolved. */
export function realImageDirectory(directory: string): string {
  const above = dirname(directory);
  return join(
    valueOr(() => realpathSync(above), above),
    basename(directory),
  );
}

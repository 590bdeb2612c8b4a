/**
 * The machines that run from an image, by their command lines: libvirt names kernel and initrd to QEMU by their paths. It finds
 * those of other users too, and those whose launcher is gone.
 */

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { orElse } from '../errors.js';

/** A machine that runs. */
export interface ImageUser {
  readonly pid: number;
  /** Of its domain; undefined where libvirt did not start it. */
  readonly name: string | undefined;
}

/** Every running QEMU that has its kernel from a directory, by that directory's real path. */
export function imageUsers(): Map<string, ImageUser[]> {
  const users = new Map<string, ImageUser[]>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    // A process may end while it is looked at.
    const words = orElse(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0'), []);
    const kernel = words[words.indexOf('-kernel') + 1];
    if (!words.includes('-kernel') || kernel === undefined) continue;
    // The directory itself may just have been moved away; the one above it is there.
    const directory = realImageDirectory(dirname(kernel));
    const name = /^guest=([^,]+)/.exec(words[words.indexOf('-name') + 1] ?? '')?.[1];
    users.set(directory, [...(users.get(directory) ?? []), { pid: Number(pid), name }]);
  }
  return users;
}

/** An image's directory without symbolic links above it. */
export function realImageDirectory(directory: string): string {
  const above = dirname(directory);
  return join(
    orElse(() => realpathSync(above), above),
    basename(directory),
  );
}

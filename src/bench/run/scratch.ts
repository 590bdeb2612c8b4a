/** The directory that a measurement works in, and what others may do to it. */
import { chmodSync, type Dirent, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, valueOr } from '../../util/errors.js';
import { sphere } from '../../util/sphere.js';

/** Not /tmp: the guest has a /tmp of its own. */
const BASE = '/var/tmp';

/**
 * Names begin with the process, and where it has that ID. Those of `nested` have only the process: a machine has the same
 * name, which should be short.
 */
const NAME = /^virt-sandbox-(?:bench-(\d+)-([^-]+-\d+)|nested-(\d+))-/;

/** How old a directory is of which nobody knows whether it is used, in milliseconds, before it is removed. */
const UNKNOWN_MS = 86_400_000;

/**
 * Makes the directory, and removes those of this user whose process was killed. Others may enter it, since QEMU's user
 * must, and neither list it nor write to it: root's libvirt makes files in there, and would follow a link of theirs.
 * @throws the error of a system call
 */
export function makeScratch(): string {
  removeAbandoned();
  const directory = mkdtempSync(join(BASE, `virt-sandbox-bench-${process.pid}-${sphere()}-`));
  chmodSync(directory, 0o711);
  return directory;
}

export function removeScratch(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Makes `file` anew, empty, for a QEMU that runs as another user. */
export function makeWritable(file: string): void {
  rmSync(file, { force: true });
  writeFileSync(file, '', { flag: 'wx' });
  chmodSync(file, 0o666);
}

/** Removes what measurements of this user have left that were killed. */
export function removeAbandoned(): void {
  for (const entry of valueOr(() => readdirSync(BASE, { withFileTypes: true }), [] as Dirent[])) {
    const path = join(BASE, entry.name);
    // One of another user stays, and so does what cannot be removed: tidying up must not keep a measurement from running.
    if (entry.isDirectory() && valueOr(() => isAbandoned(entry.name, path), false))
      valueOr(() => removeScratch(path), undefined);
  }
}

function isAbandoned(name: string, path: string): boolean {
  const [, pid, where, nested] = NAME.exec(name) ?? [];
  const { uid, mtimeMs } = lstatSync(path);
  if (uid !== process.geteuid?.()) return false;
  const isOld = mtimeMs + UNKNOWN_MS < Date.now();
  // Its machine may run on.
  if (nested !== undefined) return isOld && !isAlive(Number(nested));
  return pid !== undefined && (where === sphere() ? !isAlive(Number(pid)) : isOld);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !isSystemError(error, 'ESRCH');
  }
}

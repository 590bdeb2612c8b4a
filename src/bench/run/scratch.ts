/** The directory that a measurement works in, and what others may do to it. */
import { chmodSync, type Dirent, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, valueOr } from '../../util/errors.js';
import { sphere } from '../../util/sphere.js';

/** Not /tmp: the guest has a /tmp of its own. */
const BASE = '/var/tmp';

const PREFIX = 'virt-sandbox-bench-';

/** How old a directory is whose process nobody here can know, in milliseconds, before it is removed. */
const FOREIGN_MS = 86_400_000;

/**
 * Makes the directory, and removes those of this user whose process was killed. Others may enter it, since QEMU's user
 * must, and neither list it nor write to it: root's libvirt makes files in there, and would follow a link of theirs.
 * @throws the error of a system call
 */
export function makeScratch(): string {
  removeAbandoned();
  const directory = mkdtempSync(join(BASE, `${PREFIX}${process.pid}-${sphere()}-`));
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

function removeAbandoned(): void {
  for (const entry of valueOr(() => readdirSync(BASE, { withFileTypes: true }), [] as Dirent[])) {
    const path = join(BASE, entry.name);
    // One of another user stays, and so does what cannot be removed: tidying up must not keep a measurement from running.
    if (entry.isDirectory() && valueOr(() => isAbandoned(entry.name, path), false))
      valueOr(() => removeScratch(path), undefined);
  }
}

function isAbandoned(name: string, path: string): boolean {
  const [, pid, where] = new RegExp(`^${PREFIX}(\\d+)-([^-]+-\\d+)-`).exec(name) ?? [];
  if (pid === undefined) return false;
  const { uid, mtimeMs } = lstatSync(path);
  if (uid !== process.geteuid?.()) return false;
  return where === sphere() ? !isAlive(Number(pid)) : mtimeMs + FOREIGN_MS < Date.now();
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !isSystemError(error, 'ESRCH');
  }
}

/**
 * What libvirt starts as QEMU where we confine it: a link to qemu-wall, beside one to QEMU. libvirt finds out what a
 * QEMU can do when its path is new to it, so each version of QEMU has another directory. It stays, since that takes
 * libvirt a second.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { defaultStoreDirectory } from '../../image/resolve.js';
import { makeDirectories } from '../../util/directories.js';
import { valueOr } from '../../util/errors.js';
import { hostProgram, isExecutable } from '../../util/programs.js';

/** Where each link leads, by its name. */
type Links = Readonly<Record<'qemu-wall' | 'qemu', string>>;

/** Start of the name of a directory whose links are not made yet. */
const FRESH = '.new-';
/** In milliseconds. A directory that is so old is that of a process which was killed. */
const FRESH_AGE = 3_600_000;
/**
 * In milliseconds. Nobody knows whether a directory so old is of programs before an upgrade, or of another installation
 * that has the same cache. That one makes it again.
 */
const OLD_AGE = 30 * 86_400_000;

/**
 * The directory with both links. For root `qemu-wall` is a copy: QEMU's user executes it, and may not enter every
 * directory that this program is in.
 * @throws {SandboxError} `not-built`
 * @throws the error of a system call
 */
export function emulatorDirectory(qemu: string, isRoot = process.geteuid?.() === 0): string {
  const real = realpathSync(qemu);
  const links: Links = { 'qemu-wall': hostProgram('qemu-wall'), qemu: real };
  const facts = [...factsOf(real), ...(isRoot ? factsOf(links['qemu-wall']) : [links['qemu-wall']])];
  const key = createHash('sha256').update(facts.join('\0')).digest('hex').slice(0, 16);
  const base = join(dirname(defaultStoreDirectory()), 'qemu');
  const directory = join(base, key);
  if (isRoot) return copiedInto(directory, links);
  if (leadsTo(directory, links)) return directory;
  makeDirectories(base);
  removeOld(base, directory);
  makeLinks(directory, links);
  return directory;
}

/** What changes with a program. */
function factsOf(program: string): (string | bigint)[] {
  const { ctimeNs, ino, size } = statSync(program, { bigint: true });
  return [program, ctimeNs, ino, size];
}

function copiedInto(directory: string, { 'qemu-wall': program, qemu }: Links): string {
  if (isCopyOf(program, join(directory, 'qemu-wall')) && linkAt(join(directory, 'qemu')) === qemu) return directory;
  makeDirectories(dirname(directory), 0o755);
  removeOld(dirname(directory), directory);
  const fresh = mkdtempSync(join(dirname(directory), FRESH));
  try {
    makeDirectories(directory, 0o755);
    for (const path of [directory, dirname(directory)]) chmodSync(path, 0o755);
    copyFileSync(program, join(fresh, 'qemu-wall'));
    chmodSync(join(fresh, 'qemu-wall'), 0o755);
    // Else it may be an empty file after a loss of power.
    syncFile(join(fresh, 'qemu-wall'));
    symlinkSync(qemu, join(fresh, 'qemu'));
    for (const name of ['qemu-wall', 'qemu']) renameSync(join(fresh, name), join(directory, name));
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return directory;
}

/** False also for what a loss of power has left of it. */
function isCopyOf(program: string, copy: string): boolean {
  return isExecutable(copy) && statSync(copy).size === statSync(program).size;
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function leadsTo(directory: string, links: Links): boolean {
  return Object.entries(links).every(([name, target]) => linkAt(join(directory, name)) === target);
}

function linkAt(path: string): string | undefined {
  return valueOr(() => readlinkSync(path), undefined);
}

/** Each link is put in its place as a whole, so another process may do the same at once. */
function makeLinks(directory: string, links: Links): void {
  const fresh = mkdtempSync(join(dirname(directory), FRESH));
  try {
    makeDirectories(directory);
    for (const [name, target] of Object.entries(links)) {
      symlinkSync(target, join(fresh, name));
      renameSync(join(fresh, name), join(directory, name));
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Removes what no start uses any more: links to programs that are gone or older, and what killed processes have left. */
function removeOld(base: string, own: string): void {
  for (const name of readdirSync(base)) {
    const path = join(base, name);
    if (path !== own && isOld(path, name)) rmSync(path, { recursive: true, force: true });
  }
}

function isOld(path: string, name: string): boolean {
  if (name.startsWith(FRESH)) return ageOf(path) > FRESH_AGE;
  return ageOf(path) > OLD_AGE || ['qemu-wall', 'qemu'].some((link) => isDangling(join(path, link)));
}

/** 0: another process has just removed it. */
function ageOf(path: string): number {
  return valueOr(() => Date.now() - statSync(path).mtimeMs, 0);
}

function isDangling(path: string): boolean {
  return linkAt(path) !== undefined && !existsSync(path);
}

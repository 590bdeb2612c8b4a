/**
 * What the embedded driver has found out about QEMU, made smaller. libvirt keeps it in a file and reads that whenever a
 * driver begins. Two thirds of the file are models of processors, with what keeps each from being used. A sandbox has
 * the host's processor or the emulator's, so few models will do (docs/decisions/0036).
 */
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, valueOr } from '../util/errors.js';
import { isHeldByTrusted } from '../util/ownership.js';

/** Where the driver has those files, below its cache. */
const DIRECTORY = 'qemu/capabilities';

/** Models that stay: those that sandboxes have, and those that the machine types have by default. */
const KEPT = new Set(['host', 'max', 'base', 'qemu64', 'qemu32', '486']);

/** A model, as libvirt writes it. */
const MODEL = /^ {2}<cpu type='\w+' name='([^']+)'[^>\n]*(?:\/>|>\n(?: {4}.*\n)* {2}<\/cpu>)\n/gm;
const END = '</qemuCaps>\n';

/**
 * The modification time of a file that is small already, in seconds. libvirt does not look at it: what the file is true
 * of is said in it.
 */
const SMALL = 1;

/** What a start has left that was killed, and how old it is then at least, in milliseconds. */
const LEFT = /\.xml\.\d+$/;
const LEFT_MS = 60_000;

/**
 * Makes the files in a driver's cache smaller that libvirt has written since the last time. One that is not as this
 * program knows it stays as it is.
 * @param cacheDirectory absolute path
 */
export function shrinkQemuFacts(cacheDirectory: string): void {
  const directory = join(cacheDirectory, DIRECTORY);
  // Some libvirts give it to QEMU's user.
  if (![dirname(directory), directory].every(isOurs)) return;
  for (const name of valueOr(() => readdirSync(directory), [])) {
    const path = join(directory, name);
    try {
      if (name.endsWith('.xml')) shrink(path);
      else if (LEFT.test(name) && Date.now() - lstatSync(path).ctimeMs > LEFT_MS) rmSync(path);
    } catch (error) {
      // The driver is slower then.
      if (!isSystemError(error)) throw error;
    }
  }
}

/** Whether nobody else may change what is in a directory. */
function isOurs(path: string): boolean {
  const found = valueOr(() => lstatSync(path), undefined);
  return found?.isDirectory() === true && isHeldByTrusted(found);
}

function shrink(path: string): void {
  const before = lstatSync(path);
  if (!before.isFile() || before.mtimeMs === SMALL * 1000) return;
  const whole = readFileSync(path, 'utf8');
  // Another driver may be writing it.
  if (!whole.endsWith(END)) return;
  const fresh = `${path}.${process.pid}`;
  try {
    writeFileSync(fresh, withFewModels(whole), { mode: 0o600, flag: 'wx' });
    utimesSync(fresh, SMALL, SMALL);
    const now = lstatSync(path);
    if (now.ctimeMs === before.ctimeMs && now.ino === before.ino) renameSync(fresh, path);
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** @internal */
export function withFewModels(facts: string): string {
  return facts.replace(MODEL, (model, name: string) => (KEPT.has(name) ? model : ''));
}

/**
 * A small CPU map for the embedded driver. libvirt has a directory with a file for each model of a processor, and its
 * driver reads all of them whenever it begins: some 150, a quarter of the time until QEMU runs (docs/decisions/0036). A
 * sandbox has the host's processor or the emulator's, which are no models, so the features and two models will do.
 */

import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { isSystemError } from '../util/errors.js';
import { identityFrom } from '../util/input-log.js';
import { othersWhoMayReplace } from '../util/ownership.js';

/** Where distributions install the map. */
const WHOLE = '/usr/share/libvirt/cpu_map';
const INDEX = 'index.xml';

/** Vendors and features, and models that every host has a use for: the driver looks for the one that is nearest to it. */
const KEPT = ['vendors', 'features', '486', 'qemu64'] as const;

const PREFIX = 'cpu-map-';

export interface CpuMap {
  /** The directory of libvirt's own map. */
  readonly whole: string;
  /** A directory to be there in its place. */
  readonly small: string;
}

/**
 * @param cacheDirectory absolute path of the directory where the map is kept. It is made from libvirt's again when that
 *   changes
 * @returns undefined if libvirt's is not there, or not as this program knows it, or nothing can be kept where nobody else
 *   may write: the driver is slower then
 */
export function smallCpuMap(cacheDirectory: string, whole = WHOLE): CpuMap | undefined {
  try {
    const identity = identityOf(whole);
    const small = join(cacheDirectory, `${PREFIX}${digest(identity)}`);
    if (othersWhoMayReplace(small) !== undefined) return undefined;
    if (isWhole(small, whole)) return { whole, small };
    const files = smallFiles(whole);
    // While a package is unpacked, some files are new and some are old.
    if (files === undefined || identityOf(whole) !== identity) return undefined;
    makeDirectories(cacheDirectory);
    keep(files, small, whole);
    removeOthers(cacheDirectory, small);
    return othersWhoMayReplace(small) === undefined ? { whole, small } : undefined;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

const FILES = KEPT.map((name) => `x86_${name}.xml`);

/** Of all files that the small map is made of. */
function identityOf(whole: string): string {
  return [INDEX, ...FILES].map((file) => identityFrom(statSync(join(whole, file), { bigint: true }))).join('\n');
}

/** False if it is not there, or lost some of its content, as by a loss of power. */
function isWhole(small: string, whole: string): boolean {
  const sizeOf = (...path: string[]) => lstatSync(join(...path), { throwIfNoEntry: false })?.size ?? 0;
  const lacks = FILES.find((file) => sizeOf(small, file) !== sizeOf(whole, file));
  return lacks === undefined && sizeOf(small, INDEX) > 0;
}

/** The files of the small map by name; undefined if libvirt's is another one than this knows. */
function smallFiles(whole: string): Map<string, string> | undefined {
  const read = (file: string) => readFileSync(join(whole, file), 'utf8');
  const index = read(INDEX).replace(/^.*<include filename=["'](x86_[^"']+)["']\/>.*\n/gm, (line, file) =>
    FILES.includes(file) ? line : '',
  );
  const files = new Map(FILES.map((file) => [file, read(file)]));
  const isKnown = [...files].every(
    // A model that is made of another one needs that.
    ([file, text]) => index.includes(file) && (text.match(/<model\b/g) ?? []).length <= 1,
  );
  return isKnown ? files.set(INDEX, index) : undefined;
}

function keep(files: ReadonlyMap<string, string>, directory: string, whole: string): void {
  const temporary = `${directory}.${process.pid}`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    mkdirSync(temporary, { mode: 0o755 });
    for (const [file, text] of files) writeFileSync(join(temporary, file), text, { flush: true, mode: 0o644 });
    // Another start may have made it meanwhile, and has it mounted.
    if (!isWhole(directory, whole)) rmSync(directory, { recursive: true, force: true });
    renameSync(temporary, directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another start has made the same.
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
  }
}

/** A start reads its map within this time, in milliseconds. */
const READ_MS = 10 * 60_000;

/** Removes the maps of a libvirt that is no longer installed, and what a start left that was killed. */
function removeOthers(cacheDirectory: string, small: string): void {
  for (const name of readdirSync(cacheDirectory)) {
    const path = join(cacheDirectory, name);
    if (!name.startsWith(PREFIX) || path === small) continue;
    const found = lstatSync(path, { throwIfNoEntry: false });
    // Another start may have it mounted, or be making it.
    if (found && Date.now() - found.mtimeMs > READ_MS) rmSync(path, { recursive: true, force: true });
  }
}

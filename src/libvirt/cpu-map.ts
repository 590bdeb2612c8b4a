/**
 * A small CPU map for the embedded driver. libvirt has a directory with a file for each model of a processor, and its
 * driver reads all of them whenever it begins: some 150, a quarter of the time until QEMU runs (docs/decisions/0036). A
 * sandbox has the host's processor or the emulator's, which are no models, so the features and two models will do.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectories } from '../util/directories.js';
import { isSystemError } from '../util/errors.js';
import { identityFrom } from '../util/input-log.js';

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
 * @returns undefined if libvirt's is not there, or not as this program knows it, or nothing can be kept: the driver is
 *   slower then
 */
export function smallCpuMap(cacheDirectory: string, whole = WHOLE): CpuMap | undefined {
  try {
    const identity = identityFrom(statSync(join(whole, INDEX), { bigint: true })).replaceAll(':', '-');
    const small = join(cacheDirectory, `${PREFIX}${identity}`);
    if (statSync(small, { throwIfNoEntry: false }) === undefined) {
      const files = smallFiles(whole);
      if (files === undefined) return undefined;
      makeDirectories(cacheDirectory);
      keep(files, small);
      removeOthers(cacheDirectory, small);
    }
    return { whole, small };
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** The files of the small map by name; undefined if libvirt's is another one than this knows. */
function smallFiles(whole: string): Map<string, string> | undefined {
  const read = (file: string) => readFileSync(join(whole, file), 'utf8');
  const index = read(INDEX).replace(/^.*<include filename=["']x86_([^"']+)\.xml["']\/>.*\n/gm, (line, name) =>
    KEPT.some((kept) => kept === name) ? line : '',
  );
  const files = new Map(KEPT.map((name) => [`x86_${name}.xml`, read(`x86_${name}.xml`)]));
  const isKnown = [...files].every(
    // A model that is made of another one needs that.
    ([file, text]) => index.includes(file) && (text.match(/<model\b/g) ?? []).length <= 1,
  );
  return isKnown ? files.set(INDEX, index) : undefined;
}

function keep(files: ReadonlyMap<string, string>, directory: string): void {
  const temporary = `${directory}.${process.pid}`;
  mkdirSync(temporary);
  for (const [file, text] of files) writeFileSync(join(temporary, file), text);
  try {
    renameSync(temporary, directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Another start has made the same.
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
  }
}

/** Removes the maps of a libvirt that is no longer installed, and what a start left that was killed. */
function removeOthers(cacheDirectory: string, small: string): void {
  for (const name of readdirSync(cacheDirectory)) {
    const path = join(cacheDirectory, name);
    if (name.startsWith(PREFIX) && path !== small) rmSync(path, { recursive: true, force: true });
  }
}

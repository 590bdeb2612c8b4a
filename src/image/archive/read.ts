/**
 * Reads an initrd as the kernel does (init/initramfs.c): cpio archives one after the other, each packed or not, with
 * zeros in between. Microcode comes first and is never packed.
 */

import { formatAt } from '../../compression/formats.js';
import { UNPACKED_LIMIT } from '../../compression/types.js';
import { Budget } from './budget.js';
import { decompress, unsupportedAt } from './decompress.js';
import { isNewc, parseNewc } from './newc.js';
import { type Archive, type ArchiveCompression, type ArchiveEntry, ArchiveError } from './types.js';

/**
 * Reads all archives of an initrd. A packed archive inside a packed one is an error, as it is for the kernel.
 *
 * @param limit most bytes that reading may take, for all archives together: {@link Budget}
 * @throws {ArchiveError} for data that is no initrd, or a damaged one.
 * @throws {SandboxError} if a library for unpacking is missing.
 */
export async function readArchives(data: Buffer, limit = UNPACKED_LIMIT): Promise<Archive[]> {
  const archives: Archive[] = [];
  const budget = new Budget(limit);
  for (let at = skipZeros(data, 0); at < data.length; at = skipZeros(data, at)) {
    const compression = isNewc(data, at) ? undefined : formatAt(data, at);
    if (compression === undefined) {
      const { archive, end } = readPlain(data, at, at, 'none', budget);
      archives.push(archive);
      at = end;
    } else {
      budget.takePart();
      const { data: content, used } = await decompress(data.subarray(at), compression, budget.left);
      budget.takeContent(content.length);
      for (let inside = skipZeros(content, 0); inside < content.length; inside = skipZeros(content, inside)) {
        const { archive, end } = readPlain(content, inside, at, compression, budget);
        archives.push(archive);
        inside = end;
      }
      at += used;
    }
  }
  if (archives.length === 0) throw new ArchiveError('it contains no archive');
  return archives;
}

function readPlain(
  data: Buffer,
  at: number,
  offset: number,
  compression: ArchiveCompression,
  budget: Budget,
): { archive: Archive; end: number } {
  if (!isNewc(data, at)) {
    const what = unsupportedAt(data, at) ?? 'neither a cpio archive nor data in a known compression';
    const where = compression === 'none' ? `at byte ${at}` : `at byte ${at} of the data packed with ${compression}`;
    throw new ArchiveError(`${where} is ${what}`);
  }
  const { entries, end } = parseNewc(data, at, budget);
  return { archive: { offset, compression, entries }, end };
}

function skipZeros(data: Buffer, start: number): number {
  let at = start;
  while (at < data.length && data[at] === 0) at += 1;
  return at;
}

/** The parts of a path in an archive, without `.` and empty ones: `usr` and `bin` for `./usr//bin/`, none for `/`. */
export function pathParts(name: string): string[] {
  return name.split('/').filter((part) => part !== '' && part !== '.');
}

/** A path in an archive without `.`, empty parts, and slashes at its ends: `usr/bin` for `./usr//bin/`. */
export function plainPath(name: string): string {
  return pathParts(name).join('/');
}

/** An entry with the content that it has after unpacking: hard links have the content of their file. */
export interface FinalEntry extends ArchiveEntry {
  readonly content: Buffer;
}

/**
 * The entries that exist after all archives are unpacked, by plain path. Of two with the same path, the later one wins.
 */
export function finalEntries(archives: readonly Archive[]): Map<string, FinalEntry> {
  const result = new Map<string, FinalEntry>();
  for (const { entries } of archives) {
    const shared = sharedContents(entries);
    for (const entry of entries) {
      const content = (isLinked(entry) ? shared.get(entry.inode) : undefined) ?? entry.data;
      result.set(plainPath(entry.name), { ...entry, content });
    }
  }
  return result;
}

/** True for a file with more than one name. */
export function isLinked(entry: ArchiveEntry): boolean {
  return entry.type === 'file' && entry.nlink > 1;
}

/** The contents of hard-linked files by inode. Only one of a file's names carries its content. */
export function sharedContents(entries: readonly ArchiveEntry[]): Map<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (const entry of entries) {
    if (isLinked(entry) && entry.data.length > 0) contents.set(entry.inode, entry.data);
  }
  return contents;
}

/**
 * An initrd as the kernel sees it: cpio archives one after the other, each as it is or packed, with zeros in between
 * (init/initramfs.c of the kernel). Microcode comes first and is never packed.
 */

import { formatAt } from '../../compression/formats.js';
import { decompress, unsupportedAt } from './decompress.js';
import { isNewc, parseNewc } from './newc.js';
import { type Archive, type ArchiveCompression, type ArchiveEntry, ArchiveError } from './types.js';

/**
 * Reads all archives of an initrd.
 *
 * @throws {ArchiveError} when `data` is no initrd, or a damaged one; {@link SandboxError} where a library for unpacking is missing.
 */
export async function readArchives(data: Buffer): Promise<Archive[]> {
  const archives: Archive[] = [];
  for (let at = skipZeros(data, 0); at < data.length; at = skipZeros(data, at)) {
    const compression = isNewc(data, at) ? undefined : formatAt(data, at);
    if (compression === undefined) {
      const { archive, end } = readPlain(data, at, at, 'none');
      archives.push(archive);
      at = end;
    } else {
      const { data: content, used } = await decompress(data.subarray(at), compression);
      for (let inside = skipZeros(content, 0); inside < content.length; inside = skipZeros(content, inside)) {
        const { archive, end } = readPlain(content, inside, at, compression);
        archives.push(archive);
        inside = end;
      }
      at += used;
    }
  }
  if (archives.length === 0) throw new ArchiveError('there is no archive in it');
  return archives;
}

function readPlain(
  data: Buffer,
  at: number,
  offset: number,
  compression: ArchiveCompression,
): { archive: Archive; end: number } {
  if (!isNewc(data, at)) {
    const what = unsupportedAt(data, at) ?? 'neither a cpio archive nor anything packed that is known here';
    throw new ArchiveError(
      `at byte ${at} ${compression === 'none' ? '' : `of what is packed with ${compression} `}is ${what}`,
    );
  }
  const { entries, end } = parseNewc(data, at);
  return { archive: { offset, compression, entries }, end };
}

function skipZeros(data: Buffer, start: number): number {
  let at = start;
  while (at < data.length && data[at] === 0) at += 1;
  return at;
}

/** The parts of a path inside that say something: of `./usr//bin/` they are `usr` and `bin`, of `/` there are none. */
export function pathParts(name: string): string[] {
  return name.split('/').filter((part) => part !== '' && part !== '.');
}

/** A path inside without `.`, empty parts, and slashes at its ends: `./usr//bin/` is `usr/bin`. */
export function plainPath(name: string): string {
  return pathParts(name).join('/');
}

/** A file with the content that it has when all is unpacked. */
export interface FinalEntry extends ArchiveEntry {
  readonly content: Buffer;
}

/** What is there when all archives are unpacked, by its plain path: of two with the same path the later one. */
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

/** True for a file that has more than one name. */
export function isLinked(entry: ArchiveEntry): boolean {
  return entry.type === 'file' && entry.nlink > 1;
}

/** The content of each file of an archive that has several names, by its inode: one of them carries it. */
export function sharedContents(entries: readonly ArchiveEntry[]): Map<string, Buffer> {
  const contents = new Map<string, Buffer>();
  for (const entry of entries) {
    if (isLinked(entry) && entry.data.length > 0) contents.set(entry.inode, entry.data);
  }
  return contents;
}

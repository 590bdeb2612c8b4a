/**
 * Writes a cpio archive in the newc format. Its bytes depend on its entries alone.
 * Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
 */

import { buffer } from 'node:stream/consumers';

/** One entry of an archive. */
export type CpioEntry =
  | { readonly type: 'directory'; readonly name: string; readonly mode: number }
  | { readonly type: 'file'; readonly name: string; readonly mode: number; readonly content: Buffer }
  | {
      readonly type: 'character-device';
      readonly name: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

/** Printable ASCII only: the writer counts a name's length in characters, the kernel in bytes. */
const NAME = /^[\x21-\x7e]+$/;
/** A file size has eight hexadecimal digits. */
const SIZE_LIMIT = 0xffff_ffff;

function check(entries: readonly CpioEntry[]): void {
  const names = new Set<string>();
  for (const { name, ...entry } of entries) {
    if (!NAME.test(name) || name.startsWith('/') || name.split('/').some((part) => ['', '.', '..'].includes(part))) {
      throw new RangeError(`cpio entry name is not a plain relative ASCII path: ${JSON.stringify(name)}`);
    }
    if (name === 'TRAILER!!!') throw new RangeError('cpio entry may not have the name of the archive end');
    if (names.has(name)) throw new RangeError(`cpio entry appears twice: ${name}`);
    names.add(name);
    if (entry.type === 'file' && entry.content.length > SIZE_LIMIT) {
      throw new RangeError(`cpio entry is larger than 4 GiB: ${name}`);
    }
  }
}

/**
 * Packs `entries`, sorted by name so that a directory comes before its content. The owner is root, the time 0, and
 * inode numbers count from 1, so the same entries always make the same bytes.
 *
 * @throws {RangeError} for a name that is no plain relative ASCII path or appears twice, or a file above 4 GiB.
 */
export async function packCpio(entries: readonly CpioEntry[]): Promise<Buffer> {
  check(entries);
  const { default: cpio } = await import('cpio-stream');
  const pack = cpio.pack({ format: 'newc' });
  const archive = buffer(pack);
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  sorted.forEach((entry, i) => {
    // The writer replaces the number 0 as a time by the current time, but keeps a Date; it replaces device 0, so use 1.
    const common = { name: entry.name, mode: entry.mode, ino: i + 1, dev: 1, uid: 0, gid: 0, mtime: new Date(0) };
    if (entry.type === 'file') pack.entry({ ...common, type: 'file', nlink: 1 }, entry.content);
    else if (entry.type === 'directory') pack.entry({ ...common, type: 'directory', nlink: 2 });
    else {
      const { major, minor } = entry;
      pack.entry({ ...common, type: 'character-device', nlink: 1, rdevmajor: major, rdevminor: minor });
    }
  });
  pack.finalize();
  return archive;
}

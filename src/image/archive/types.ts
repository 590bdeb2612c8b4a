/** What an initrd holds, as it is read. */

import type { FormatName } from '../../compression/formats.js';

/** How a part of an initrd is packed. */
export type ArchiveCompression = 'none' | FormatName;

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'character-device'
  | 'block-device'
  | 'fifo'
  | 'socket'
  | 'unknown';

/** One thing in a cpio archive, with all that its header says. */
export interface ArchiveEntry {
  /** As it is in the archive, one character a byte, whatever the encoding. */
  readonly name: string;
  readonly type: EntryType;
  /** st_mode of inode(7): type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Of the device that it was on, and its number there: what hard links have in common. */
  readonly inode: string;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The content of a file, the target of a symbolic link. Of hard links it is with one of them. */
  readonly data: Buffer;
}

/** One cpio archive of an initrd. */
export interface Archive {
  /** Where it begins, in bytes of the initrd; of one that is packed, where what is packed begins. */
  readonly offset: number;
  readonly compression: ArchiveCompression;
  readonly entries: readonly ArchiveEntry[];
}

/** An initrd that cannot be read, and where in it. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

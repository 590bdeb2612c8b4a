/** Types of an initrd's content. */

import type { FormatName } from '../../compression/formats.js';

/** How an archive in an initrd is packed. */
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

/** One entry of a cpio archive, with the fields of its header. */
export interface ArchiveEntry {
  /** The bytes of the name, one character for each byte, whatever the encoding. */
  readonly name: string;
  readonly type: EntryType;
  /** st_mode of inode(7): file type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Device and inode number, which hard links to one file share. */
  readonly inode: string;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Content of a file, or target of a symbolic link. Of several hard links, only one has the content. */
  readonly data: Buffer;
}

/** One cpio archive of an initrd. */
export interface Archive {
  /** Offset in the initrd, in bytes. For a packed archive, the offset of the packed data. */
  readonly offset: number;
  readonly compression: ArchiveCompression;
  readonly entries: readonly ArchiveEntry[];
}

/** An initrd cannot be read. The message says where in it. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

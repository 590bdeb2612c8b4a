/** Files of a running sandbox, for programs. */

export interface FileOptions {
  /**
   * Name or number of a user inside, whose rights count; default: the user of the application. Only root of a privileged
   * sandbox has capabilities.
   */
  readonly user?: string | undefined;
  /** Ends what is done, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions extends FileOptions {
  /** A string instead of bytes. */
  readonly encoding?: 'utf8' | undefined;
  /** Most bytes; default: 64 MiB. A larger file is the error `file-too-large`. */
  readonly maxBytes?: number | undefined;
}

export interface WriteOptions extends FileOptions {
  /** Permissions of a file that is made; default: 0o644. */
  readonly mode?: number | undefined;
  /** Append to the file, as bytes come, instead of replacing it when all of them are there. */
  readonly append?: boolean | undefined;
}

/** What a file is written from. */
export type FileData = string | Uint8Array | AsyncIterable<string | Uint8Array>;

export interface StatOptions extends FileOptions {
  /** Of what a link leads to, not of the link; default: true. */
  readonly followLinks?: boolean | undefined;
}

export interface MkdirOptions extends FileOptions {
  /** Make missing directories above it, too, and let it exist; default: no. */
  readonly parents?: boolean | undefined;
  /** Its permissions; default: 0o755. */
  readonly mode?: number | undefined;
}

export interface RemoveOptions extends FileOptions {
  /** With all that is below a directory; default: no. */
  readonly recursive?: boolean | undefined;
  /** Nothing need be there; default: no. */
  readonly force?: boolean | undefined;
}

export interface WatchOptions extends FileOptions {
  /**
   * With all directories below, also those that are made later; then it is a directory, and names are paths from there.
   * Default: no.
   */
  readonly recursive?: boolean | undefined;
}

export type FileType =
  | 'file'
  | 'directory'
  | 'link'
  | 'fifo'
  | 'socket'
  | 'character-device'
  | 'block-device'
  | 'unknown';

export interface FileStatus {
  readonly type: FileType;
  /** In bytes. */
  readonly size: number;
  /** Permissions, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly modified: Date;
  readonly uid: number;
  readonly gid: number;
  /** Where a link leads. */
  readonly target?: string | undefined;
}

/** An entry of a directory. */
export interface FileEntry extends FileStatus {
  /**
   * If it is not UTF-8, each byte beyond ASCII is a lone low surrogate, U+DC00 plus the byte. In a path it stands for
   * that byte again.
   */
  readonly name: string;
}

/**
 * A change of a file, or of an entry of a directory. Renaming gives `rename-from` with the old name and `rename-to` with
 * the new one, each for the directory that it happens in. `overflow`: changes were lost.
 */
export interface FileChange {
  readonly type: 'create' | 'modify' | 'remove' | 'rename-from' | 'rename-to' | 'overflow';
  /** Of the entry, as of {@link FileEntry}, or its path below what is watched; empty for that itself. */
  readonly name: string;
  /** The same in both changes of a renaming; 0 for others. */
  readonly cookie: number;
}

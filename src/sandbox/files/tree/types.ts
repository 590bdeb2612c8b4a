/** Copies of trees between host and sandbox, for programs. */

/** How far a copy is. */
export interface CopyProgress {
  /** Files that were copied, or begun. */
  readonly files: number;
  /** Their content so far, without holes. */
  readonly bytes: number;
}

export interface CopyOptions {
  /** Name or number of a user inside, who reads or makes the files there; default: the user of the application. */
  readonly user?: string | undefined;
  /** Cancels it: no file is left half-written. */
  readonly signal?: AbortSignal | undefined;
  /** Called now and then, and at the end. What it throws makes the copy fail. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
  /**
   * Most bytes that are sent: content without holes, and for each entry its name and at most 50 bytes. Default: no
   * limit, so a sandbox can fill the host's disk.
   */
  readonly maxBytes?: number | undefined;
}

export interface CopyResult extends CopyProgress {
  readonly directories: number;
  readonly links: number;
  /** What was left out or lost its mode or time, and files of which less could be read than their size; at most 1,000. */
  readonly skipped: readonly Skipped[];
}

export interface Skipped {
  /** Of the source if it was uploaded, of the copy if it was downloaded, or if it lost its mode or time. Its middle is left out where it is long. */
  readonly path: string;
  /** A clause: `it is a socket`. */
  readonly reason: string;
}

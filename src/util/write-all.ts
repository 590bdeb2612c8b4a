/** Writes all of some data, however little a file system takes at a time. */

/** What of a FileHandle is used. */
export interface WritableFile {
  write(data: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesWritten: number }>;
}

/**
 * @param position in the file, in bytes
 * @throws the error of a system call; ENOSPC if nothing was taken, which some file systems do in the place of an error
 */
export async function writeAll(file: WritableFile, data: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done);
    // Trying again might have no end. Gnulib's full_write has this error too.
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' });
    done += bytesWritten;
  }
}

/**
 * Reads files that somebody else may have made: no link leads elsewhere, no FIFO keeps the reader waiting, and no size
 * is believed.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isSystemError } from './errors.js';

/** A FIFO without a writer opens at once, and a link does not open. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;

/** Why a file is not read, as a part of a sentence behind its name: `is a symbolic link`. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile';
}

/**
 * Opens a regular file for reading.
 * @throws {UnreadableFile} it is a symbolic link, a directory, a FIFO or a device
 * @throws the error of the system call that failed
 */
export async function openRegular(path: string): Promise<FileHandle> {
  const file = await open(path, FLAGS).catch((error: unknown) => {
    throw readableError(error);
  });
  try {
    if (!(await file.stat()).isFile()) throw new UnreadableFile('is not a regular file');
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The text of a small regular file, as {@link readRegularBytes} reads it. */
export function readRegular(path: string, most: number): string {
  return readRegularBytes(path, most).toString('utf8');
}

/**
 * The bytes of a small regular file.
 * @param most the largest size, in bytes
 * @throws {UnreadableFile} it is no regular file, or larger
 * @throws the error of the system call that failed
 */
export function readRegularBytes(path: string, most: number): Buffer {
  const fd = openOrExplain(path);
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw new UnreadableFile('is not a regular file');
    if (found.size > most) throw new UnreadableFile(`is larger than ${most} bytes`);
    const data = Buffer.allocUnsafe(found.size);
    let length = 0;
    for (let count = -1; count !== 0 && length < data.length; length += count)
      count = readSync(fd, data, length, data.length - length, null);
    return data.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

function openOrExplain(path: string): number {
  try {
    return openSync(path, FLAGS);
  } catch (error) {
    throw readableError(error);
  }
}

function readableError(error: unknown): unknown {
  if (isSystemError(error, 'ELOOP')) return new UnreadableFile('is a symbolic link');
  // A socket, or a device without a driver.
  return isSystemError(error, 'ENXIO') ? new UnreadableFile('is not a regular file') : error;
}

/**
 * What is wrong with a file, as a part of a sentence behind its name; undefined for an error that is not about it.
 * @param error from {@link openRegular} or {@link readRegular}
 */
export function fileProblem(error: unknown): string | undefined {
  if (error instanceof UnreadableFile) return error.message;
  if (!isSystemError(error)) return undefined;
  return error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 'is missing' : `cannot be read (${error.code})`;
}

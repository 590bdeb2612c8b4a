/** Where an archive is written: a file that is there as a whole or not at all, or standard output. */
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../../util/errors.js';
import { notWritten, outputNotFile } from './errors.js';

/** Takes an archive piece by piece. */
export type WriteArchive = (write: (piece: Buffer) => Promise<void>) => Promise<void>;

/**
 * Writes a file, readable by this user alone: an archive has what the service keeps secret.
 * @throws {SandboxError} `service-archive-not-written`, and what `fill` throws
 */
export async function writeArchiveFile(path: string, fill: WriteArchive): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw outputNotFile(path);
  const draft = join(dirname(path), `.${basename(path).slice(0, 32)}.${randomBytes(8).toString('hex')}.tmp`);
  let isOurs = false;
  try {
    const file = await open(draft, 'wx', 0o600);
    isOurs = true;
    try {
      await fill((piece) => writeAll(file, piece));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    isOurs = false;
    await flush(dirname(path));
  } catch (error) {
    throw isSystemError(error) ? notWritten(path, error) : error;
  } finally {
    if (isOurs) await rm(draft, { force: true });
  }
}

async function writeAll(file: FileHandle, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
}

async function flush(directory: string): Promise<void> {
  const file = await open(directory, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

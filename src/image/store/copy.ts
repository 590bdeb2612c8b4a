/** Copies files that somebody else may have made, or may be changing: what is checked is the copy. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, open, rm, stat } from 'node:fs/promises';
import { isSystemError } from '../../util/errors.js';
import { fileProblem, openRegular, UnreadableFile } from '../../util/regular-files.js';
import { createContentFile } from '../../util/selinux.js';

const PIECE_BYTES = 1 << 16;

/** What a file must be. */
export interface Expected {
  /** In bytes. */
  readonly size: number;
  readonly digest: string;
  /** Of the content of a file, in hexadecimal digits; default: {@link digestFile}. */
  readonly digestOf?: (path: string) => Promise<string>;
  /** The first offset with data at or after `position`; undefined if only a hole follows. Default: `position`. */
  readonly nextData?: (fd: number, position: number) => number | undefined;
}

/**
 * Copies a file to `to`, which must not exist, and compares the copy with what it must be. Nobody else may have access
 * to the directory of `to` before it has its mode: a copy by reflink has the mode of `from` for a moment.
 *
 * @returns what is wrong with `from`, as a part of a sentence behind its name; undefined for a good copy
 * @throws the error of a system call that failed on `to`
 */
export async function copyChecked(from: string, to: string, expected: Expected): Promise<string | undefined> {
  let source: FileHandle;
  try {
    source = await openRegular(from);
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    return problem;
  }
  try {
    const { size } = await source.stat();
    if (size !== expected.size) return `has ${size} bytes and not ${expected.size}`;
    if (!(await cloned(source, to))) await copyData(source, to, expected);
  } catch (error) {
    if (error instanceof UnreadableFile) return error.message;
    throw error;
  } finally {
    await source.close();
  }
  // The source may have grown meanwhile, and a clone has all of it.
  const { size: copied } = await stat(to);
  if (copied !== expected.size) return `has ${copied} bytes and not ${expected.size}`;
  const { digestOf = digestFile } = expected;
  return (await digestOf(to)) === expected.digest ? undefined : 'has another content';
}

/**
 * SHA-256 of a regular file, in hexadecimal digits.
 * @throws as {@link openRegular} does; the signal's reason
 */
export async function digestFile(path: string, signal?: AbortSignal): Promise<string> {
  const file = await openRegular(path);
  const hash = createHash('sha256');
  for await (const piece of file.createReadStream({ highWaterMark: 1 << 20 })) {
    if (signal?.aborted) throw signal.reason;
    hash.update(piece as Buffer);
  }
  return hash.digest('hex');
}

/** Copies by sharing the blocks. @returns false if the file system cannot do that */
async function cloned(source: FileHandle, to: string): Promise<boolean> {
  createContentFile(to);
  try {
    await copyFile(`/proc/self/fd/${source.fd}`, to, constants.COPYFILE_FICLONE_FORCE);
    // Its mode is that of the source, which may keep its owner from reading it.
    await chmod(to, 0o600);
    return true;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    await rm(to, { force: true });
    return false;
  }
}

/** Copies all but zeros, which become holes. */
async function copyData(source: FileHandle, to: string, { size, nextData }: Expected): Promise<void> {
  createContentFile(to);
  const target = await open(to, 'r+');
  try {
    await target.chmod(0o600);
    await target.truncate(size);
    const piece = Buffer.allocUnsafe(PIECE_BYTES);
    const zeros = Buffer.alloc(PIECE_BYTES);
    for (let position = 0; position < size; ) {
      const data = nextData === undefined ? position : nextData(source.fd, position);
      if (data === undefined || data >= size) return;
      const { bytesRead } = await source
        .read(piece, 0, Math.min(PIECE_BYTES, size - data), data)
        .catch((error: unknown) => {
          throw new UnreadableFile(fileProblem(error) ?? String(error));
        });
      // It has become shorter.
      if (bytesRead === 0) return;
      const bytes = piece.subarray(0, bytesRead);
      if (!bytes.equals(zeros.subarray(0, bytesRead))) await writeAll(target, bytes, data);
      position = data + bytesRead;
    }
  } finally {
    await target.close();
  }
}

async function writeAll(target: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await target.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

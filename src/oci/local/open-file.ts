/** Files of this host that an image is read from. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { imageError, quoted } from '../../oci-names/errors.js';
import { isSystemError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';

const PIECE_BYTES = 256 << 10;

/**
 * Opens a file that the user names; a link leads where it leads, and a FIFO keeps nobody waiting.
 * @throws {SandboxError} `image-not-found`, `image-unreadable`
 */
export async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(error, path);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw imageError('image-unreadable', `${quoted(path)} is no regular file`, 'name the file of an image');
}

/** The SandboxError of a failed system call on a file of an image; any other error as it is. */
export function fileError(error: unknown, path: string): unknown {
  if (!isSystemError(error)) return error;
  const isMissing = error.code === 'ENOENT' || error.code === 'ENOTDIR';
  return imageError(
    isMissing ? 'image-not-found' : 'image-unreadable',
    isMissing ? `there is no ${quoted(path)}` : `${quoted(path)} cannot be read (${error.code})`,
    isMissing ? 'see that its name is right' : 'make it readable for this user',
    error,
  );
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** Of the file, for errors. */
  readonly path: string;
  /** Bytes to read at a time. */
  readonly piece?: number;
}

/** The bytes of an open file from an offset on, up to another or to its end. */
export async function* readRange(
  file: FileHandle,
  { from, to, path, piece = PIECE_BYTES }: Range,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    throwIfAborted(signal);
    const data = Buffer.allocUnsafeSlow(Math.min(piece, to - at));
    const { bytesRead } = await file.read(data, 0, data.length, at).catch((error: unknown) => {
      throw fileError(error, path);
    });
    if (bytesRead === 0) return;
    at += bytesRead;
    yield data.subarray(0, bytesRead);
  }
}

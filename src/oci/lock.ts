/** Locks on files, flock(2). The kernel lets them go with the process that has them, however that ends. */

import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { isSystemError } from '../util/errors.js';
import { pause } from './cancel.js';

/** Of <sys/file.h>. */
const SHARED = 1;
const EXCLUSIVE = 2;
const NO_WAIT = 4;

/** Milliseconds between two attempts. A call that waits would take one of Node's few worker threads. */
const INTERVAL = 50;

export type LockKind = 'shared' | 'exclusive';

/**
 * Opens a file, made if it is missing, and locks it. The lock goes when the file is closed.
 * @param options `onWait` is called when somebody else has the lock; what it throws ends the wait
 * @returns the file; undefined: the file was removed or renamed by the one who had the lock
 * @throws {SandboxError} `aborted`
 * @throws the error of a system call
 */
export async function lockFile(
  path: string,
  kind: LockKind,
  options: { readonly signal?: AbortSignal | undefined; readonly onWait?: (() => void) | undefined } = {},
): Promise<FileHandle | undefined> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    await lockOpenFile(file, kind, options);
    if (await isStillAt(file, path)) return file;
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return undefined;
}

/** Locks an open file. Arguments and errors: those of {@link lockFile}. */
export async function lockOpenFile(
  file: FileHandle,
  kind: LockKind,
  { signal, onWait }: NonNullable<Parameters<typeof lockFile>[2]>,
): Promise<void> {
  while (!(await tryToLock(file, kind))) {
    onWait?.();
    await pause(INTERVAL, signal);
  }
}

/**
 * Locks an open file if nobody else has it, in place of the lock that it has: that is gone then too if somebody else has it.
 * @returns whether it is locked
 */
export async function tryToLock(file: FileHandle, kind: LockKind): Promise<boolean> {
  const { default: koffi } = await import('koffi');
  const flock = koffi.load('libc.so.6').func('int flock(int fd, int operation)');
  if (flock(file.fd, (kind === 'shared' ? SHARED : EXCLUSIVE) | NO_WAIT) === 0) return true;
  const errno = koffi.errno();
  if (errno === os.errno.EWOULDBLOCK || errno === os.errno.EINTR) return false;
  throw Object.assign(new Error(`flock failed with errno ${errno}`), { code: `E${errno}`, errno });
}

/** Whether the file has that path still. */
export async function isStillAt(file: FileHandle, path: string): Promise<boolean> {
  try {
    const [own, there] = [await file.stat({ bigint: true }), await stat(path, { bigint: true })];
    return own.ino === there.ino && own.dev === there.dev;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Runs `work` with the lock, and the file that is locked. Errors: those of {@link lockFile} and of `work`. */
export async function withLock<T>(
  path: string,
  kind: LockKind,
  options: Parameters<typeof lockFile>[2],
  work: (file: FileHandle) => Promise<T>,
): Promise<T> {
  for (;;) {
    const file = await lockFile(path, kind, options);
    if (file === undefined) continue;
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }
}

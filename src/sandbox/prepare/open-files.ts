/** Refuses a limit of open files that a sandbox cannot live with, before there is anything to remove. */
import { readFileSync } from 'node:fs';
import { isOutOfFiles, isSystemError, SandboxError } from '../../util/errors.js';

/**
 * This process has some 30 files open. A QEMU that it starts inherits the limit, has as many, and a third of the limit is
 * for what the guest opens through 9p: with less, programs inside cannot be executed, or lack their libraries.
 */
const LEAST = 64;

/**
 * @param read Reads proc_pid_limits(5). Node.js has raised the soft limit to the hard one by now.
 * @throws {SandboxError} `too-few-files`
 */
export function requireOpenFiles(read = () => readFileSync('/proc/self/limits', 'latin1')): void {
  const limit = openFiles(read);
  if (limit < LEAST) throw tooFew(`this process may have ${limit} files open, and a sandbox needs ${LEAST}`);
}

/** The limit; infinite if there is none, or it cannot be read. */
function openFiles(read: () => string): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(read())?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch (error) {
    if (isOutOfFiles(error)) throw tooFew('this process has all files open that it may have', error);
    if (isSystemError(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function tooFew(message: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'too-few-files',
    message,
    remedy: 'raise the limit of open files: ulimit -n 1024',
    cause,
  });
}

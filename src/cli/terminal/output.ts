/** What goes to standard output and error output: all of it, or it is told why not. */
import { once } from 'node:events';
import { createWriteStream, fstatSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { isSystemError, messageOf, SandboxError, type Stage } from '../../util/errors.js';

/** The reader of our output has gone. */
export class ReaderGone extends Error {}

/** Names of {@link outputError}, for those who tell it from other failures. */
export const OUTPUT_FAILED = 'output-failed';

/**
 * Copies a stream of the application to a descriptor of this process, at the pace of whoever reads it.
 * @throws {ReaderGone} when nobody reads any more
 * @throws {SandboxError} `output-failed`
 */
export async function copyOut(from: Readable, fd: 1 | 2): Promise<void> {
  const what = `the application's ${fd === 1 ? 'output' : 'error output'}`;
  await copy(from, fd).catch((error: unknown) => {
    throw outputError(error, 'application', what);
  });
}

/**
 * Writes what the program itself has to say to standard output, and waits until it is written.
 * @throws {ReaderGone} when nobody reads it
 * @throws {SandboxError} `output-failed`
 */
export async function print(content: string | Buffer): Promise<void> {
  await copy([content], 1).catch((error: unknown) => {
    throw outputError(error, 'output', 'standard output');
  });
}

async function copy(from: AsyncIterable<unknown> | Iterable<unknown>, fd: 1 | 2): Promise<void> {
  const to = outputOf(fd);
  let failure: Error | undefined;
  // It may come at any time, also while nothing is being written.
  to.on('error', (error) => {
    failure ??= error;
  });
  for await (const chunk of from) {
    if (failure) throw failure;
    if (!to.write(chunk)) await once(to, 'drain');
  }
  await flushed(to, () => failure);
}

/** Waits until all is written; a stream that has failed calls nobody back. */
async function flushed(to: Writable, failure: () => Error | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = failure();
    if (failed) reject(failed);
    to.once('error', reject);
    to.write('', (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Node's own stream for a terminal or a pipe, which it writes to without blocking (and puts the descriptor back as it was when it ends). For a
 * file its own stream takes a short write, as on a full disk, for a whole one; a file stream does not.
 */
function outputOf(fd: 1 | 2): Writable {
  const status = fstatSync(fd);
  if (status.isFIFO() || status.isSocket() || isatty(fd)) return fd === 1 ? process.stdout : process.stderr;
  return createWriteStream('', { fd, autoClose: false });
}

function outputError(error: unknown, stage: Stage, what: string): Error {
  if (isSystemError(error, 'EPIPE')) return new ReaderGone();
  return new SandboxError({
    stage,
    code: OUTPUT_FAILED,
    message: `${what} cannot be written: ${messageOf(error)}`,
    remedy: FULL.some((code) => isSystemError(error, code))
      ? 'see to it that there is room where it goes'
      : 'send it to where it can be written, with > FILE or a pipe',
    cause: error,
  });
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

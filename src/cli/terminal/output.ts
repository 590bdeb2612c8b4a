/** Writes to standard output and error output: all bytes are written, or the failure is reported. */
import { once } from 'node:events';
import { createWriteStream, fstatSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { isSystemError, messageOf, SandboxError, type Stage } from '../../util/errors.js';

/** Nobody reads our output any more (EPIPE). */
export class ReaderGone extends Error {}

/** Code of the error when output cannot be written. */
export const OUTPUT_FAILED = 'output-failed';

/**
 * Copies a stream of the application to a descriptor of this process, at the pace of the reader.
 * @throws {ReaderGone} if nobody reads it
 * @throws {SandboxError} `output-failed`
 */
export async function copyOut(from: Readable, fd: 1 | 2): Promise<void> {
  const what = `the application's ${fd === 1 ? 'output' : 'error output'}`;
  await copy(from, fd).catch((error: unknown) => {
    throw outputError(error, 'application', what);
  });
}

/**
 * Writes this program's own output to standard output and waits until it is written.
 * @throws {ReaderGone} if nobody reads it
 * @throws {SandboxError} `output-failed`
 */
export async function print(content: string | Buffer): Promise<void> {
  const printer = new Printer();
  await printer.write(content);
  await printer.flush();
}

/** Writes this program's own output piece by piece. */
export class Printer {
  readonly #output: Output;
  readonly #what: string;

  constructor(fd: 1 | 2 = 1) {
    this.#output = new Output(fd);
    this.#what = fd === 1 ? 'standard output' : 'standard error';
  }

  /** Resolves when there is room for more. @throws as {@link print} */
  async write(content: string | Buffer): Promise<void> {
    await this.#output.write(content).catch((error: unknown) => {
      throw outputError(error, 'output', this.#what);
    });
  }

  /** Resolves when all is written. @throws as {@link print} */
  async flush(): Promise<void> {
    await this.#output.flush().catch((error: unknown) => {
      throw outputError(error, 'output', this.#what);
    });
  }
}

async function copy(from: AsyncIterable<unknown>, fd: 1 | 2): Promise<void> {
  const output = new Output(fd);
  for await (const chunk of from) await output.write(chunk);
  await output.flush();
}

/** A descriptor of this process that is written to. */
class Output {
  readonly #to: Writable;
  #failure: Error | undefined;

  constructor(fd: 1 | 2) {
    this.#to = outputOf(fd);
    // An error can come at any time, even while nothing is being written.
    this.#to.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  async write(chunk: unknown): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!this.#to.write(chunk)) await once(this.#to, 'drain');
  }

  /** A stream that has failed does not call back, so look at its failure first. */
  async flush(): Promise<void> {
    if (this.#failure) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#to.once('error', reject);
      this.#to.write('', (error) => {
        this.#to.off('error', reject);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

/**
 * For a terminal, a pipe or a socket: Node.js's own stream, which writes without blocking and restores the descriptor's
 * flags at the end. For a file: a file stream, because Node.js's own stream takes a short write, as on a full disk, for
 * a complete one.
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
      ? 'make room where it goes'
      : 'send it elsewhere, with > FILE or a pipe',
    cause: error,
  });
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** Reads files inside. */
import type { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { unlessAborted } from '../../util/promises.js';
import type { Builtin } from '../process/builtin.js';
import { type FileAccess, type FileProgram, outputOf, startFor } from './access.js';
import { fileError, tooLargeError } from './errors.js';
import { checkFileCall } from './schema.js';
import type { FileOptions, ReadOptions } from './types.js';

const USUAL_BYTES = 64 << 20;

/** @throws as `Files.read` */
export async function readFile(access: FileAccess, path: string, options: ReadOptions): Promise<Buffer | string> {
  checkFileCall('read', [path], options);
  const program = programFor(path);
  const { maxBytes = USUAL_BYTES, encoding } = options;
  const remedy = 'take it from readStream() as it comes, or give a larger maxBytes';
  const bytes = await outputOf(access, program, options, maxBytes, () =>
    tooLargeError(program, `${maxBytes} bytes`, remedy),
  );
  return encoding === undefined ? bytes : bytes.toString(encoding);
}

/** Passes the bytes of a file on to a stream, and ends it, or destroys it with an error. */
export async function streamFile(
  access: FileAccess,
  path: string,
  options: FileOptions,
  to: PassThrough,
): Promise<void> {
  try {
    checkFileCall('other', [path], options);
    const program = programFor(path);
    const builtin = await startFor(access, program, options);
    try {
      builtin.stdin.end();
      await unlessAborted(passOn(builtin, to), options.signal, (reason) => reason as Error);
      to.end();
    } catch (error) {
      void builtin.kill();
      throw fileError(error, program);
    }
  } catch (error) {
    to.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

async function passOn(builtin: Builtin, to: PassThrough): Promise<void> {
  await pipeline(builtin.stdout, to, { end: false });
  await builtin.ended;
}

function programFor(path: string): FileProgram {
  return { argv: ['read', path], paths: [path], action: 'read', path };
}

/** Writes files inside. */
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { unlessAborted } from '../../util/promises.js';
import { type Builtin, BuiltinError } from '../process/builtin.js';
import { type FileAccess, type FileProgram, startFor } from './access.js';
import { fileError } from './errors.js';
import { checkData, checkFileCall, checkPiece } from './schema.js';
import type { FileData, WriteOptions } from './types.js';

const USUAL_MODE = 0o644;

/** @throws as `Files.write` */
export async function writeFile(
  access: FileAccess,
  path: string,
  data: FileData,
  options: WriteOptions,
): Promise<void> {
  checkFileCall('write', [path], options);
  checkData(data);
  const { mode = USUAL_MODE, append = false, signal } = options;
  const argv = ['write', path, String(mode), append ? '1' : '0'];
  const program: FileProgram = { argv, action: 'write', path };
  // It removes its temporary file then, and leaves the file as it was.
  const builtin = await startFor(access, program, options, 'SIGTERM').catch((error: unknown) => {
    giveUp(data);
    throw error;
  });
  builtin.stdout.resume();
  try {
    await unlessAborted(fill(builtin, data), signal, (reason) => reason as Error);
  } catch (error) {
    giveUp(data);
    void builtin.kill();
    throw fileError(error, program);
  }
}

/** The end of stdin says that all was written, so it is sent only then. */
async function fill(builtin: Builtin, data: FileData): Promise<void> {
  let isOver = false;
  const pouring = pour(data, builtin.stdin, () => isOver);
  pouring.catch(() => {});
  try {
    // The source may keep it waiting for ever.
    await Promise.race([pouring, builtin.ended]);
    if (!builtin.stdin.writableEnded) throw new BuiltinError(0, 'it ended before it had all');
    await builtin.ended;
  } catch (error) {
    await builtin.kill();
    // Nothing is half done when the caller knows of it.
    await builtin.ended.catch(() => {});
    throw error;
  } finally {
    isOver = true;
  }
}

async function pour(data: FileData, stdin: Writable, isOver: () => boolean): Promise<void> {
  if (typeof data === 'string' || data instanceof Uint8Array) {
    stdin.end(data);
    return;
  }
  for await (const piece of data) {
    if (isOver()) return;
    checkPiece(piece);
    if (!stdin.write(piece)) await once(stdin, 'drain');
  }
  stdin.end();
}

/** What is left of a stream is not wanted. */
function giveUp(data: FileData): void {
  if (data instanceof Readable) data.destroy();
}

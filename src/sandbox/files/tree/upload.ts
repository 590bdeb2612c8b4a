/** Copies a tree of the host into a sandbox. */
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import type { GuestConfig } from '../../../../init/common/config.js';
import type { Channel } from '../../../protocol/channel.js';
import { ProtocolError } from '../../../protocol/fields.js';
import { isSystemError } from '../../../util/errors.js';
import { unlessAborted } from '../../../util/promises.js';
import { type Builtin, BuiltinError } from '../../process/builtin.js';
import {
  type Copy,
  guestError,
  hostError,
  malformedError,
  SkippedRootError,
  skippedError,
  tooLargeError,
} from './errors.js';
import { nameOf } from './place.js';
import { startTreeProgram } from './program.js';
import { TreeReader } from './read-tree.js';
import { takeReports } from './reports.js';
import { Tally } from './tally.js';
import type { CopyOptions, CopyResult } from './types.js';

/**
 * @param from path on the host: a file, a directory, or with `/.` at its end what is in a directory
 * @param to path inside: a directory, into which it goes, or what it becomes; from the sandbox's working directory
 * @throws {SandboxError} `file-not-found`, `permission-denied`, `file-exists`, `not-a-directory`, `no-space`,
 *   `copy-too-large`, `file-too-large`, `copy-failed`, `tree-malformed`, `process-lost`, `user-unknown` `users-unreadable`, `cwd-unusable`, `spawn-failed`
 * @throws the signal's reason if it aborts
 */
export async function uploadTree(
  channel: Channel,
  guest: GuestConfig,
  from: string,
  to: string,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { signal } = options;
  const tally = new Tally();
  const copy: Copy = { from: `${from} of the host`, to: `${to} in the sandbox`, tally };
  const reader = new TreeReader(from, tally);
  try {
    // Before a process is started for what is not there.
    const first = reader.next();
    const unpack = await startTreeProgram(channel, guest, ['unpack', to, nameOf(from)], options);
    await send(chunksOf(first, reader, copy, options), unpack, tally, signal);
    options.onProgress?.(tally.progress);
    return tally.result;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BuiltinError) throw guestError(copy, error);
    if (error instanceof ProtocolError) throw malformedError(copy, `its reports have ${error.message}`, error);
    if (error instanceof SkippedRootError) throw skippedError(copy, error.message);
    throw isSystemError(error) ? hostError(copy, reader.where, error) : error;
  } finally {
    reader.close();
  }
}

/** Until it has ended. If sending fails, it is told to end; if it fails, no more is sent. */
async function send(
  chunks: AsyncIterable<Buffer>,
  unpack: Builtin,
  tally: Tally,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failed = new AbortController();
  const reports = takeReports(unpack.stdout as AsyncIterable<Buffer>, unpack.ended, tally);
  const ended = Promise.all([unpack.ended, reports]).catch((error: unknown) => {
    failed.abort(error);
    throw error;
  });
  ended.catch(() => {});
  const stop = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  try {
    await pipeline(chunks, unpack.stdin, { signal: stop });
  } catch (error) {
    // The stream's own error hides why it has ended.
    failed.signal.throwIfAborted();
    void unpack.kill();
    // What is unfinished there is gone then. A signal does not wait for what a guest says.
    await unlessAborted(unpack.ended, signal, () => new Error()).catch(() => {});
    throw error;
  }
  await unlessAborted(ended, signal, (reason) => reason as Error);
}

async function* chunksOf(
  first: Buffer | undefined,
  reader: TreeReader,
  copy: Copy,
  { maxBytes = Number.POSITIVE_INFINITY, onProgress }: CopyOptions,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  for (let chunk = first; chunk !== undefined; chunk = reader.next()) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLargeError(copy, maxBytes);
    if (chunk.length > 0) yield chunk;
    onProgress?.(copy.tally.progress);
    // Reading blocks this thread: others have their turn.
    await setImmediate();
  }
}

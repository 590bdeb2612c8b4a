/** Copies a tree out of a sandbox. What the guest sends is hostile: see write-tree.ts. */
import { setImmediate } from 'node:timers/promises';
import type { GuestConfig } from '../../../../init/common/config.js';
import type { Channel } from '../../../protocol/channel.js';
import { isSystemError } from '../../../util/errors.js';
import { unlessAborted } from '../../../util/promises.js';
import { type Builtin, BuiltinError } from '../../process/builtin.js';
import { TreeDecoder, TreeFormatError } from './decode.js';
import {
  type Copy,
  guestError,
  hostError,
  malformedError,
  SkippedRootError,
  skippedError,
  tooLargeError,
} from './errors.js';
import { nameOf, type Place, placeOf } from './place.js';
import { startTreeProgram } from './program.js';
import { Tally } from './tally.js';
import type { CopyOptions, CopyResult } from './types.js';
import { TreeWriter } from './write-tree.js';

/**
 * @param from path inside: a file, a directory, or with `/.` at its end what is in a directory; from the sandbox's
 *   working directory
 * @param to path on the host: a directory, into which it goes, or what it becomes
 * @throws {SandboxError} `file-not-found`, `permission-denied`, `file-exists`, `not-a-directory`, `no-space`,
 *   `copy-too-large`, `file-too-large`, `copy-failed`, `tree-malformed`, `process-lost`, `user-unknown` `users-unreadable`, `cwd-unusable`, `spawn-failed`
 * @throws the signal's reason if it aborts
 */
export async function downloadTree(
  channel: Channel,
  guest: GuestConfig,
  from: string,
  to: string,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const { signal } = options;
  const tally = new Tally();
  const copy: Copy = { from: `${from} of the sandbox`, to: `${to} on the host`, tally };
  const budget = new Budget(copy, options);
  const writer = openPlace(copy, to, nameOf(from), budget);
  try {
    const pack = await startTreeProgram(channel, guest, ['pack', from], options);
    try {
      await receive(pack, new TreeDecoder(writer), copy, budget, options);
    } catch (error) {
      void pack.kill();
      throw error;
    }
    options.onProgress?.(tally.progress);
    return tally.result;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof BuiltinError) throw guestError(copy, error);
    if (error instanceof TreeFormatError) throw malformedError(copy, error.message, error);
    if (error instanceof SkippedRootError) throw skippedError(copy, error.message);
    throw isSystemError(error) ? hostError(copy, writer.where, error) : error;
  } finally {
    writer.close();
  }
}

function openPlace(copy: Copy, to: string, name: string, budget: Budget): TreeWriter {
  let place: Place | undefined;
  try {
    place = placeOf(to, name);
    return new TreeWriter(place, copy.tally, (bytes) => budget.spend(bytes));
  } catch (error) {
    throw isSystemError(error) ? hostError(copy, place?.directory ?? to, error) : error;
  }
}

/** What a copy may still take. */
class Budget {
  readonly #copy: Copy;
  readonly #options: CopyOptions;
  #spent = 0;

  constructor(copy: Copy, options: CopyOptions) {
    this.#copy = copy;
    this.#options = options;
  }

  /** @throws {SandboxError} `copy-too-large` @throws the signal's reason if it aborts */
  spend(bytes: number): void {
    const { maxBytes = Number.POSITIVE_INFINITY, signal } = this.#options;
    signal?.throwIfAborted();
    this.#spent += bytes;
    if (this.#spent > maxBytes) throw tooLargeError(this.#copy, maxBytes);
  }
}

async function receive(
  pack: Builtin,
  decoder: TreeDecoder,
  copy: Copy,
  budget: Budget,
  { signal, onProgress }: CopyOptions,
): Promise<void> {
  pack.stdin.end();
  for await (const chunk of pack.stdout as AsyncIterable<Buffer>) {
    budget.spend(chunk.length);
    for (const pending of decoder.push(chunk)) {
      await pending;
      // Writing blocks this thread: others have their turn.
      await setImmediate();
      signal?.throwIfAborted();
    }
    onProgress?.(copy.tally.progress);
  }
  // Why it broke off, if it did.
  await unlessAborted(pack.ended, signal, (reason) => reason as Error);
  decoder.end();
}

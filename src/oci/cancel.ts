/** Work that is cancelled. */
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { imageError } from '../oci-names/errors.js';
import type { SandboxError } from '../util/errors.js';

export function abortedError(cause: unknown): SandboxError {
  return imageError(
    'aborted',
    'the work on the image was cancelled',
    'start it again; what was downloaded is kept',
    cause,
  );
}

/** @throws {SandboxError} `aborted` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal.reason);
}

/**
 * Waits.
 * @param time in milliseconds
 * @throws {SandboxError} `aborted`
 */
export async function pause(time: number, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal);
  try {
    await delay(time, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw abortedError(error);
  }
}

/** Work that waits for nothing: every now and then all else in the process has its turn, a signal among it. */
export class Turns {
  #done = 0;

  /** @param most steps of a turn */
  constructor(
    private readonly most: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Counts steps. True if it is time for {@link give}: a caller with many small steps waits only then. */
  isOver(steps = 1): boolean {
    this.#done += steps;
    return this.#done >= this.most;
  }

  /** @throws {SandboxError} `aborted` */
  async give(): Promise<void> {
    this.#done = 0;
    throwIfAborted(this.signal);
    await nextTurn();
    throwIfAborted(this.signal);
  }
}

/** Work that is called off. */
import { setTimeout as delay } from 'node:timers/promises';
import { imageError } from '../oci-names/errors.js';
import type { SandboxError } from '../util/errors.js';

export function abortedError(cause: unknown): SandboxError {
  return imageError(
    'aborted',
    'the work on the image was called off',
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

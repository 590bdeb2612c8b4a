/** Attempts: what may succeed the next time is done again, after a pause that grows or that the registry asks for. */
import type { SandboxError } from '../../util/errors.js';
import { pause } from '../cancel.js';
import type { Patience } from './options.js';

/** A failure that may pass. */
export class Retryable extends Error {
  /**
   * @param final what is thrown after the last attempt
   * @param after milliseconds that the registry asks to wait
   */
  constructor(
    readonly final: SandboxError,
    readonly after?: number,
  ) {
    super(final.message, { cause: final });
  }
}

/**
 * Attempts `work` until it does not throw {@link Retryable}.
 * @throws what `work` throws; for a {@link Retryable} what it stands for, after the last attempt, or at once if the
 *   registry asks for too long a pause
 */
export async function withRetries<T>(
  patience: Patience,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Retryable)) throw error;
      const time = pauseBefore(error, attempt, patience);
      if (time === undefined) throw error.final;
      await pause(time, signal);
    }
  }
}

/**
 * Milliseconds to wait after a failed attempt; undefined: give up.
 * @param attempt how many have failed, from 1
 */
export function pauseBefore({ after }: Retryable, attempt: number, patience: Patience): number | undefined {
  if (attempt >= patience.attempts) return undefined;
  if (after !== undefined) return after > patience.longestPause ? undefined : after;
  return Math.min(patience.firstPause * 2 ** (attempt - 1), patience.longestPause);
}

/** Milliseconds that a Retry-After asks for: seconds or a date, RFC 9110, 10.2.3. Undefined: none, or no sense in it. */
export function parseRetryAfter(header: string | undefined, now = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

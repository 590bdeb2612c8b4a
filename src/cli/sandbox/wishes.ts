/** What options and the environment wish of a start, besides the sandbox. */
import { parseDuration } from '../../config/parsers/duration.js';
import { MAX_TIME_LIMIT } from '../../protocol/wire.js';
import type { Arguments } from '../sandbox-arguments.js';

/** LIBVIRT_SANDBOX_INIT_DEBUG: `break:STEP` stops before a step; any other text shows what kernel and init do. */
export function debugWish(): { readonly initDebug: boolean; readonly step: string | undefined } {
  const text = process.env['LIBVIRT_SANDBOX_INIT_DEBUG'] ?? '';
  const step = text.startsWith('break:') ? text.slice('break:'.length) : undefined;
  return { initDebug: text !== '' && step === undefined, step };
}

/**
 * --timeout: a number alone is seconds, as timeout(1) has it.
 * @returns milliseconds; undefined: no limit
 * @throws {SandboxError} `duration-invalid`
 */
export function timeLimitOf({ timeout }: Arguments): number | undefined {
  if (timeout === undefined) return undefined;
  return parseDuration(/^[0-9.]+$/.test(timeout) ? `${timeout}s` : timeout, '--timeout', MAX_TIME_LIMIT);
}

/** What options and the environment wish of a start, besides the sandbox. */
import type { Arguments } from '../sandbox-arguments.js';
import { parseTimeLimit } from '../time-limit.js';

/** LIBVIRT_SANDBOX_INIT_DEBUG: `break:STEP` stops before a step; any other text shows what kernel and init do. */
export function debugWish(): { readonly initDebug: boolean; readonly step: string | undefined } {
  const text = process.env['LIBVIRT_SANDBOX_INIT_DEBUG'] ?? '';
  const step = text.startsWith('break:') ? text.slice('break:'.length) : undefined;
  return { initDebug: text !== '' && step === undefined, step };
}

/**
 * --timeout
 * @returns milliseconds; undefined: no limit
 * @throws {SandboxError} `duration-invalid`
 */
export function timeLimitOf({ timeout }: Arguments): number | undefined {
  return timeout === undefined ? undefined : parseTimeLimit(timeout);
}

/** `--timeout` of virt-sandbox and of `virt-sandbox-ctl exec`. */
import { parseDuration } from '../config/parsers/duration.js';
import { MAX_TIME_LIMIT } from '../protocol/wire.js';

/**
 * A number alone is seconds, as timeout(1) has it.
 * @returns milliseconds
 * @throws {SandboxError} `duration-invalid`
 */
export function parseTimeLimit(text: string): number {
  return parseDuration(/^[0-9.]+$/.test(text) ? `${text}s` : text, '--timeout', MAX_TIME_LIMIT);
}

/** `--accel auto|kvm|tcg` and `--boot auto|cold|warm`. */
import { argumentError, quote } from '../failure.js';
import type { Acceleration, BootMode } from '../types.js';

/**
 * Reads what runs the guest's instructions.
 * @param option what it was given to, for messages
 * @throws SandboxError `acceleration-unknown`
 */
export function parseAcceleration(text: string, option: string): Acceleration {
  if (text === 'auto' || text === 'kvm' || text === 'tcg') return text;
  throw argumentError('acceleration-unknown', `${option} cannot be ${quote(text)}`, 'give auto, kvm or tcg');
}

/**
 * Reads whether a saved machine may be used.
 * @param option what it was given to, for messages
 * @throws SandboxError `boot-mode-unknown`
 */
export function parseBootMode(text: string, option: string): BootMode {
  if (text === 'auto' || text === 'cold' || text === 'warm') return text;
  throw argumentError('boot-mode-unknown', `${option} cannot be ${quote(text)}`, 'give auto, cold or warm');
}

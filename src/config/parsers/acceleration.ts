/** `--accel auto|kvm|tcg` and `--boot auto|cold|warm`. */
import { argumentError, quote } from '../errors.js';
import type { Acceleration, BootMode } from '../types.js';

/**
 * Reads `--accel`: what executes the guest's instructions.
 * @param option the name of the option, for messages
 * @throws SandboxError `acceleration-unknown`
 */
export function parseAcceleration(text: string, option: string): Acceleration {
  if (text === 'auto' || text === 'kvm' || text === 'tcg') return text;
  throw argumentError('acceleration-unknown', `${option} cannot be ${quote(text)}`, 'give auto, kvm or tcg');
}

/**
 * Reads `--boot`: whether a sandbox starts from a snapshot.
 * @param option the name of the option, for messages
 * @throws SandboxError `boot-mode-unknown`
 */
export function parseBootMode(text: string, option: string): BootMode {
  if (text === 'auto' || text === 'cold' || text === 'warm') return text;
  throw argumentError('boot-mode-unknown', `${option} cannot be ${quote(text)}`, 'give auto, cold or warm');
}

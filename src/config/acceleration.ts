/** `--accel auto|kvm|tcg`. */
import { argumentError, quote } from './failure.js';
import type { Acceleration } from './types.js';

/**
 * Reads what runs the guest's instructions.
 * @param option what it was given to, for messages
 * @throws SandboxError `acceleration-unknown`
 */
export function parseAcceleration(text: string, option: string): Acceleration {
  if (text === 'auto' || text === 'kvm' || text === 'tcg') return text;
  throw argumentError('acceleration-unknown', `${option} cannot be ${quote(text)}`, 'give auto, kvm or tcg');
}

/** The sound card: gives it to the application's user, who alone may open it. */
import type { GuestConfig } from './config.js';
import { call, type Step } from './step.js';

/** Of the only card that a machine has: its controls, its stream, and ALSA's clock. */
const NODES = ['/dev/snd/controlC0', '/dev/snd/pcmC0D0p', '/dev/snd/timer'];

export function soundStep({ hasSound, identity: { uid, gid } }: GuestConfig): Step[] {
  if (hasSound !== true) return [];
  return [{ name: 'sound', calls: NODES.map((path) => call({ op: 'chown', path, uid, gid })) }];
}

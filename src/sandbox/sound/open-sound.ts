/** Opens the sound of a machine that has some, for a start. What that needs is loaded for no other. */
import type { Monitor } from '../../libvirt/monitor.js';
import type { Observers } from '../types.js';
import type { MachineSound } from './machine-sound.js';

export type { MachineSound };

/**
 * Call it before anything plays.
 * @param monitor undefined: a container's
 * @returns undefined: it has no sound, or is silent
 */
export async function openSound(
  { sound }: { readonly sound: boolean },
  monitor: Monitor | undefined,
  name: string,
  observers: Pick<Observers, 'onChoice' | 'onWarning'>,
): Promise<MachineSound | undefined> {
  if (!sound || monitor === undefined) return undefined;
  const opening = await import('./machine-sound.js');
  return opening.MachineSound.open(monitor, name, observers);
}

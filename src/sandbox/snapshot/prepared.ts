/** Snapshots of machines with their root and programs: whose they can be. */
import type { GuestConfig } from '../../../init/common/config.js';
import { stepsDone } from '../../../init/common/prepared.js';
import type { SandboxConfig } from '../../config/types.js';
import { sha256 } from '../../image/manifest.js';

/**
 * What has to be the same for two sandboxes to have one such machine: the root, and what was done to it. Undefined: the
 * root is no file system of an image, and cannot be saved.
 * @param guest as it is where the machine boots
 */
export function rootKey({ root }: SandboxConfig, guest: GuestConfig): string | undefined {
  if (root.type !== 'image' || root.stored === undefined || root.stored.id === '') return undefined;
  if (guest.overlay?.type !== 'ram') return undefined;
  // Processors are those of the machine, which is compared as a whole.
  const steps = stepsDone({ ...guest, lateProcessors: 0 });
  const text = JSON.stringify([root.stored.id, steps], (_, value: unknown) =>
    value instanceof Uint8Array ? [...value] : value,
  );
  return sha256(text).slice(0, 32);
}

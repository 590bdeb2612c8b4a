/** Puts the devices of a sandbox into the slots of a snapshot. */
import { join } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import { isVirtiofs, type Share } from '../../domain/shares.js';
import { slotNames } from '../../domain/slots.js';
import { SNAPSHOT_EMPTY, type Snapshot } from '../../image/snapshot/record.js';
import type { Devices } from './devices.js';
import { ROOT_TAG, shareTag } from './shares.js';

/** The devices of a restored machine: shares for the XML, addresses for the guest. */
export interface SlottedDevices {
  /** The root, if QEMU serves it, and one share per slot. Vacant ones have an empty directory. */
  readonly shares: readonly Share[];
  /** Shares that virtiofsd serves. They take no slot: the guest rescans its bus for them. */
  readonly lateShares: readonly Share[];
  /** Slots with disks and interfaces, as Linux names them: `0000:00:07.0`. */
  readonly taken: readonly string[];
}

export function slotDevices({ directory, record: { slots } }: Snapshot, devices: Devices): SlottedDevices {
  const { shares, disks, interfaces } = devices;
  const names = slotNames(1 + slots.mounts, slots);
  return {
    shares: inSlots(
      shares.filter((share) => !isVirtiofs(share)),
      slots,
      join(directory, SNAPSHOT_EMPTY),
    ),
    lateShares: shares.filter(isVirtiofs),
    taken: [...names.disks.slice(0, disks.length), ...names.networks.slice(0, interfaces.length)],
  };
}

/** The shares of root and slots, in the order of their tags. */
export function inSlots(shares: readonly Share[], slots: Slots, emptyDirectory: string): Share[] {
  const tags = [ROOT_TAG, ...Array.from({ length: slots.mounts }, (_, number) => shareTag(number))];
  return tags.map(
    (tag) =>
      shares.find((share) => share.tag === tag) ?? { tag, directory: emptyDirectory, readOnly: true, transport: '9p' },
  );
}

/** How many slots of each kind a sandbox needs. Shares that virtiofsd serves need none. */
export function neededSlots({ shares, disks, interfaces }: Pick<Devices, 'shares' | 'disks' | 'interfaces'>): Slots {
  return {
    mounts: shares.filter((share) => share.tag !== ROOT_TAG && !isVirtiofs(share)).length,
    disks: disks.length,
    networks: interfaces.length,
  };
}

/** All slots for disks and networks, as Linux names them. */
export function allSlots(slots: Slots): string[] {
  const { disks, networks } = slotNames(1 + slots.mounts, slots);
  return [...disks, ...networks];
}

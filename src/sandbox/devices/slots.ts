/** Puts the devices of a sandbox into the slots of a snapshot. */
import { join } from 'node:path';
import type { Slots } from '../../config/parsers/slots.js';
import { isVirtiofs, type Share } from '../../domain/shares.js';
import { slotNames } from '../../domain/slots.js';
import { SNAPSHOT_EMPTY, type Snapshot, type SnapshotRecord } from '../../image/snapshot/record.js';
import type { Devices } from './devices.js';
import { isRoot, ROOT_TAG, shareTag } from './shares.js';

/** The devices of a restored machine: shares for the XML, addresses for the guest. */
export interface SlottedDevices {
  /** The root, if the machine was saved with what serves it, and one share per slot. Vacant ones have an empty directory. */
  readonly shares: readonly Share[];
  /** Other shares over virtiofs. They take no slot: the guest rescans its bus for them. */
  readonly lateShares: readonly Share[];
  /** Slots with disks and interfaces, as Linux names them: `0000:00:07.0`. */
  readonly taken: readonly string[];
}

export function slotDevices(
  {
    directory,
    record: { slots, root, prepared },
  }: Pick<Snapshot, 'directory'> & {
    readonly record: Pick<SnapshotRecord, 'slots' | 'root' | 'prepared'>;
  },
  devices: Devices,
): SlottedDevices {
  const { shares, disks, interfaces } = devices;
  const names = slotNames(1 + slots.mounts, slots);
  const isLate = (share: Share) => isVirtiofs(share) && !(isRoot(share) && root === 'virtiofs');
  return {
    shares: inSlots(
      shares.filter((share) => !isLate(share)),
      slots,
      join(directory, SNAPSHOT_EMPTY),
    ),
    lateShares: shares.filter(isLate),
    // That of a root that is mounted has its driver.
    taken: [
      ...names.disks.slice(prepared === undefined ? 0 : 1, disks.length),
      ...names.networks.slice(0, interfaces.length),
    ],
  };
}

/** Whether the restored machine shares its memory with what serves a share, and so has a copy of its own. */
export function sharesMemory({ shares, lateShares }: Pick<SlottedDevices, 'shares' | 'lateShares'>): boolean {
  return [...shares, ...lateShares].some(isVirtiofs);
}

/** The shares of root and slots, in the order of their tags. The root's place is vacant if none of the shares is one. */
export function inSlots(shares: readonly Share[], slots: Slots, emptyDirectory: string): Share[] {
  const vacant = (tag: string): Share => ({ tag, directory: emptyDirectory, readOnly: true, transport: '9p' });
  const tags = Array.from({ length: slots.mounts }, (_, number) => shareTag(number));
  return [
    shares.find(isRoot) ?? vacant(ROOT_TAG),
    ...tags.map((tag) => shares.find((share) => share.tag === tag) ?? vacant(tag)),
  ];
}

/** How many slots of each kind a sandbox needs. Shares that virtiofsd serves need none. */
export function neededSlots({ shares, disks, interfaces }: Pick<Devices, 'shares' | 'disks' | 'interfaces'>): Slots {
  return {
    mounts: shares.filter((share) => !isRoot(share) && !isVirtiofs(share)).length,
    disks: disks.length,
    networks: interfaces.length,
  };
}

/** All slots for disks and networks, as Linux names them. */
export function allSlots(slots: Slots): string[] {
  const { disks, networks } = slotNames(1 + slots.mounts, slots);
  return [...disks, ...networks];
}

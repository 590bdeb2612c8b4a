/**
 * The ids that QEMUs of root's run with. The range that SSSD hands out by default ends below, and what systemd calls
 * foreign begins above: https://systemd.io/UIDS-GIDS/
 */
const FIRST = 0x7800_0000;
const BITS = 25;

/** A host that is a container may have 65536 users only. Debian and systemd keep these for nobody. */
const FIRST_SMALL = 65_000;
const SMALL_COUNT = 533;

/** A range of ids. The first is the group of all, and the user of those who must have the same. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

export const QEMU_IDS: IdRange = { first: FIRST, count: 2 ** BITS };
/** The ids of what serves the networks and the roots of root's sandboxes. Behind them are those of containers. */
export const NETWORK_IDS: IdRange = { first: FIRST + 2 ** BITS, count: 2 ** BITS };
export const SMALL_QEMU_IDS: IdRange = { first: FIRST_SMALL, count: SMALL_COUNT };

export function isQemuUid(uid: number): boolean {
  return [QEMU_IDS, SMALL_QEMU_IDS].some(({ first, count }) => uid >= first && uid < first + count);
}

/** What a sandbox needs of a saved machine that has places for devices, and what a machine lacks of it. */
import { countOfSlots, DEFAULT_SLOTS, SLOT_KINDS, type Slots } from '../../config/parsers/slots.js';
import { SLOTS } from '../../domain/pci.js';
import type { SnapshotRecord } from '../../image/snapshot/snapshot.js';

/** What must be in a saved machine. */
export interface SnapshotNeeds {
  readonly slots: Slots;
  /** Module sets. */
  readonly sets: readonly string[];
  /** Devices that no saved machine has places for: directories that virtiofs serves. */
  readonly late: number;
}

/** The module sets that make use of the places: a disk may be there to be mounted. */
export function setsOfSlots({ mounts, disks, networks }: Slots): string[] {
  return [
    // What root mounts is served by virtiofs: see transportOf().
    ...(mounts > 0 && process.getuid?.() === 0 ? [VIRTIOFS_SET] : []),
    ...(disks > 0 ? ['block', 'filesystem-ext4'] : []),
    ...(networks > 0 ? ['network'] : []),
  ];
}

export const VIRTIOFS_SET = 'root-virtiofs';

/** So many such directories have room beside the places that a saved machine has by default. */
export const MOST_LATE_SHARES = SLOTS - 1 - 1 - countOfSlots(DEFAULT_SLOTS);

const NUMBERS = ['', 'second ', 'third ', 'fourth ', 'fifth ', 'sixth ', 'seventh ', 'eighth ', 'ninth '];
const ONE = { mounts: 'mount', disks: 'disk', networks: 'network' } as const;

const ENDINGS: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>> = { one: 'st', two: 'nd', few: 'rd' };

function ordinal(number: number): string {
  return `${number}${ENDINGS[new Intl.PluralRules('en', { type: 'ordinal' }).select(number)] ?? 'th'} `;
}

/** What keeps a saved machine from serving; undefined: it serves. `has no place for a second disk`, `was baked without filesystem-xfs`. */
export function lackOf(record: Pick<SnapshotRecord, 'slots' | 'sets'>, needs: SnapshotNeeds): string | undefined {
  for (const kind of SLOT_KINDS) {
    const there = record.slots[kind];
    if (needs.slots[kind] <= there) continue;
    const which = NUMBERS[there] ?? ordinal(there + 1);
    return `has no place for a ${which}${ONE[kind]}`;
  }
  // Where slots do not suffice two devices share one, and the first of them is no longer what it was when it was saved.
  if (1 + 1 + countOfSlots(record.slots) + needs.late > SLOTS) return 'has no room for so many directories';
  const sets = needs.sets.filter((set) => !record.sets.includes(set));
  return sets.length === 0 ? undefined : `was baked without ${sets.join(' and ')}`;
}

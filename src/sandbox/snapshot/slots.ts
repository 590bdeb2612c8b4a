/** Compares what a sandbox needs with what a snapshot has: slots and module sets. */
import { countOfSlots, DEFAULT_SLOTS, SLOT_KINDS, type Slots } from '../../config/parsers/slots.js';
import type { ScreenSize } from '../../config/types.js';
import { SLOTS } from '../../domain/pci.js';
import { SCREEN_DEVICES } from '../../domain/screen.js';
import type { SnapshotRecord } from '../../image/snapshot/record.js';

/** What a sandbox needs of a snapshot. */
export interface SnapshotNeeds {
  readonly slots: Slots;
  /** Module sets. */
  readonly sets: readonly string[];
  /** Whether the root is served over virtiofs. */
  readonly virtiofsRoot: boolean;
  /** How many other shares are, which take no slot. */
  readonly late: number;
  /** Undefined: none. */
  readonly screen?: ScreenSize | undefined;
  /** What one with its root mounted must be: prepared.ts. Undefined: none can serve. */
  readonly preparedRoot?: string | undefined;
  /** The image that was named, whose programs it may have. */
  readonly named?: string | undefined;
}

/** The module sets that slots need. A disk may have a file system to mount. */
export function setsOfSlots({ mounts, disks, networks }: Slots): string[] {
  return [
    // Root's shares use virtiofs: see transportOf().
    ...(mounts > 0 && process.getuid?.() === 0 ? [VIRTIOFS_SET] : []),
    ...(disks > 0 ? ['block', 'filesystem-ext4'] : []),
    ...(networks > 0 ? ['network'] : []),
  ];
}

export const VIRTIOFS_SET = 'root-virtiofs';

/** How many late shares fit beside the default slots. */
export const MOST_LATE_SHARES = SLOTS - 1 - 1 - countOfSlots(DEFAULT_SLOTS);

const NUMBERS = ['', 'second ', 'third ', 'fourth ', 'fifth ', 'sixth ', 'seventh ', 'eighth ', 'ninth '];
const ONE = { mounts: 'mount', disks: 'disk', networks: 'network' } as const;

const ENDINGS: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>> = { one: 'st', two: 'nd', few: 'rd' };

function ordinal(number: number): string {
  return `${number}${ENDINGS[new Intl.PluralRules('en', { type: 'ordinal' }).select(number)] ?? 'th'} `;
}

/** A guest that is restored has the drivers of what was there, and finds nothing else by itself. */
function lackOfScreen(there: ScreenSize | undefined, needed: ScreenSize | undefined): string | undefined {
  if (needed === undefined) return there === undefined ? undefined : 'has a screen';
  if (there === undefined) return 'has no screen';
  const isSame = there.width === needed.width && there.height === needed.height;
  return isSame ? undefined : `has a screen of ${there.width}x${there.height}`;
}

/** Programs run in it already: it serves those who name it, and have the same root. */
function lackOfPrepared(
  { prepared }: Pick<SnapshotRecord, 'prepared'>,
  { preparedRoot, named, slots }: SnapshotNeeds,
): string | undefined {
  if (prepared === undefined) return undefined;
  const isNamed = named === prepared.name || named?.includes('/') === true;
  if (!isNamed) return `has programs in it, and serves those who name ${prepared.name}`;
  // What asks for addresses is gone with the initramfs.
  if (slots.networks > 0) return 'has its root mounted, and takes no network';
  if (slots.disks > 1) return 'has its root mounted, and takes no other disk';
  return preparedRoot === prepared.root ? undefined : 'has another root mounted, or one with other rights';
}

/**
 * What a snapshot lacks, `has no slot for a second disk` or `was baked without filesystem-xfs`; undefined: nothing.
 */
export function lackOf(
  record: Pick<SnapshotRecord, 'slots' | 'sets' | 'root' | 'screen' | 'prepared'>,
  needs: SnapshotNeeds,
): string | undefined {
  const other = lackOfPrepared(record, needs);
  if (other !== undefined) return other;
  for (const kind of SLOT_KINDS) {
    const there = record.slots[kind];
    if (needs.slots[kind] <= there) continue;
    const which = NUMBERS[there] ?? ordinal(there + 1);
    return `has no slot for a ${which}${ONE[kind]}`;
  }
  // QEMU has no such device without what serves it.
  if (record.root === 'virtiofs' && !needs.virtiofsRoot) return 'has a root over virtiofs';
  const lack = lackOfScreen(record.screen, needs.screen);
  if (lack !== undefined) return lack;
  const ofScreen = record.screen === undefined ? 0 : SCREEN_DEVICES;
  const late = needs.late + (needs.virtiofsRoot && record.root === undefined ? 1 : 0);
  // If devices had to share a PCI slot, the saved device there would become a multifunction device.
  if (1 + 1 + countOfSlots(record.slots) + ofScreen + late > SLOTS) return 'has no room for so many directories';
  const sets = needs.sets.filter((set) => !record.sets.includes(set));
  return sets.length === 0 ? undefined : `was baked without ${sets.join(' and ')}`;
}

/** `--slots mounts=4,disks=2,networks=1`: the devices that a snapshot keeps free for sandboxes. */
import { argumentError, quote } from '../errors.js';
import { parseWhole } from './number.js';

/** How many free devices of each kind a snapshot has. */
export interface Slots {
  /** For directories of the host. */
  readonly mounts: number;
  /** For disks, and for images that are mounted. */
  readonly disks: number;
  readonly networks: number;
}

export const SLOT_KINDS = ['mounts', 'disks', 'networks'] as const satisfies readonly (keyof Slots)[];

/** The slots without --slots. Slots for disks and networks would add drivers and file systems (docs/warm.md). */
export const DEFAULT_SLOTS: Slots = { mounts: 4, disks: 0, networks: 0 };

/** The most slots of all kinds together: the machine's bus has no more room beside the root and the channel. */
export const MOST_SLOTS = 27;

/**
 * Reads `--slots`. A kind that is not named keeps its default.
 * @throws {SandboxError} `slots-unknown`, `slots-repeated`, `slots-too-many`, `number-invalid`
 */
export function parseSlots(text: string, defaults: Slots): Slots {
  const slots = { ...defaults };
  const named = new Set<string>();
  for (const part of text.split(',')) {
    const [word = '', ...values] = part.split('=');
    const kind = SLOT_KINDS.find((name) => name === word);
    if (kind === undefined || values.length !== 1) {
      throw argumentError(
        'slots-unknown',
        `--slots cannot be ${quote(part)}`,
        `give ${SLOT_KINDS.map((name) => `${name}=NUMBER`).join(', ')}, or some of them, separated by commas`,
      );
    }
    if (named.has(kind)) {
      throw argumentError('slots-repeated', `--slots has ${kind} twice`, 'give each kind once');
    }
    named.add(kind);
    slots[kind] = parseWhole(values[0] ?? '', `--slots ${kind}`, 0, MOST_SLOTS);
  }
  return checkSlots(slots);
}

/**
 * @returns the same slots
 * @throws {SandboxError} `slots-too-many` above {@link MOST_SLOTS}
 */
export function checkSlots(slots: Slots): Slots {
  const sum = countOfSlots(slots);
  if (sum <= MOST_SLOTS) return slots;
  throw argumentError(
    'slots-too-many',
    `--slots and --for ask for ${sum} slots (${slotsText(slots)}), and a machine has ${MOST_SLOTS}`,
    'ask for fewer; a kind that is not named has its default',
  );
}

export function countOfSlots(slots: Slots): number {
  return SLOT_KINDS.reduce((sum, kind) => sum + slots[kind], 0);
}

/** The kinds that have slots, in the syntax of {@link parseSlots}. */
export function slotsText(slots: Slots): string {
  const there = SLOT_KINDS.filter((kind) => slots[kind] > 0);
  return (there.length > 0 ? there : SLOT_KINDS).map((kind) => `${kind}=${slots[kind]}`).join(',');
}

/** The larger number of each kind. */
export function mostSlots(one: Slots, other: Slots): Slots {
  return {
    mounts: Math.max(one.mounts, other.mounts),
    disks: Math.max(one.disks, other.disks),
    networks: Math.max(one.networks, other.networks),
  };
}

/** What a saved machine has places for: `mounts=4,disks=2,networks=1`. */
import { argumentError, quote } from '../failure.js';
import { parseWhole } from './number.js';

/** How many devices of each kind a machine has for sandboxes that want some. */
export interface Slots {
  /** Directories of the host. */
  readonly mounts: number;
  /** Disks, and images that are mounted. */
  readonly disks: number;
  readonly networks: number;
}

export const SLOT_KINDS = ['mounts', 'disks', 'networks'] as const satisfies readonly (keyof Slots)[];

/** Of a machine for which nothing else was asked. Places for disks and networks bring drivers and file systems with them (docs/warm.md). */
export const DEFAULT_SLOTS: Slots = { mounts: 4, disks: 0, networks: 0 };

/** More would not find a place of their own on the machine's bus, where the root and the channel have theirs. */
export const MOST_SLOTS = 27;

/**
 * Reads the value of `--slots`. A kind that is not named keeps its default.
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
        `give ${SLOT_KINDS.map((name) => `${name}=NUMBER`).join(', ')}, or some of them, with commas between`,
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
 * @returns the same
 * @throws {SandboxError} `slots-too-many`
 */
export function checkSlots(slots: Slots): Slots {
  const sum = countOfSlots(slots);
  if (sum <= MOST_SLOTS) return slots;
  throw argumentError(
    'slots-too-many',
    `--slots and --for ask for ${sum} places (${slotsText(slots)}), and a machine has ${MOST_SLOTS}`,
    'ask for fewer; a kind that is not named has places too',
  );
}

export function countOfSlots(slots: Slots): number {
  return SLOT_KINDS.reduce((sum, kind) => sum + slots[kind], 0);
}

/** For a person, and as {@link parseSlots} takes it: the kinds that there are places for. */
export function slotsText(slots: Slots): string {
  const there = SLOT_KINDS.filter((kind) => slots[kind] > 0);
  return (there.length > 0 ? there : SLOT_KINDS).map((kind) => `${kind}=${slots[kind]}`).join(',');
}

/** The larger of the two, kind by kind. */
export function mostSlots(one: Slots, other: Slots): Slots {
  return {
    mounts: Math.max(one.mounts, other.mounts),
    disks: Math.max(one.disks, other.disks),
    networks: Math.max(one.networks, other.networks),
  };
}

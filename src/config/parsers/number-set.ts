/** Sets of small whole numbers, as libvirt and the kernel write CPUs and nodes: `0-1,3`. */
import { argumentError, quote } from '../errors.js';

/** More CPUs or nodes than any host has. It bounds the size of a range. */
const LAST = 8191;

/** What a set is of, for messages. */
export interface SetNames {
  /** The option, or a part of it. */
  readonly option: string;
  /** Of the error. */
  readonly code: string;
  /** One member: `a CPU`. Several: `CPUs`. */
  readonly one: string;
  readonly several: string;
}

/**
 * Reads numbers and ascending ranges, 0 to 8191.
 * @returns the numbers, ascending, each once; at least one
 * @throws SandboxError of `names.code`
 */
export function parseNumberSet(text: string, { option, code, one, several }: SetNames): readonly number[] {
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^([0-9]{1,4})(?:-([0-9]{1,4}))?$/.exec(part);
    const first = Number(match?.[1] ?? Number.NaN);
    const last = Number(match?.[2] ?? match?.[1] ?? Number.NaN);
    if (!(first <= last && last <= LAST)) {
      throw argumentError(
        code,
        `${option} ${quote(text)} has ${quote(part)} where ${one} or a range belongs`,
        `write ${several} and ascending ranges, as in 0-1,3`,
      );
    }
    for (let number = first; number <= last; number += 1) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/** The inverse of {@link parseNumberSet}, which is libvirt's syntax too. `numbers` must be ascending. */
export function formatNumberSet(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

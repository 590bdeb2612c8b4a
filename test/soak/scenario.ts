/** What every scenario of a soak gets, and what it gives. */
import type { Ground } from './ground.js';

/** A run with which something was wrong. */
export interface Finding {
  readonly scenario: string;
  readonly seed: number;
  /** What was run. */
  readonly run: string;
  readonly what: readonly string[];
}

/** Counts the runs of a scenario, and keeps what was found. */
export interface Tally {
  /** @param run what was run, in one line @param findings what was wrong with it */
  readonly ran: (seed: number, run: string, findings: readonly string[]) => void;
}

export interface Context {
  readonly ground: Ground;
  /** The seeds of the runs: it ends when the scenario has had its count, or its time. */
  readonly seeds: () => Iterable<number>;
  readonly tally: Tally;
  /** A full soak, not one of some minutes. */
  readonly isFull: boolean;
  /** Writes a line to stderr. */
  readonly say: (text: string) => void;
}

export interface Scenario {
  readonly name: string;
  /** For the table. */
  readonly what: string;
  /** How many runs it has in a short soak, and in a full one. */
  readonly short: number;
  readonly full: number;
  /** @returns the figures for the table */
  readonly run: (context: Context) => Promise<string>;
}

/** Records which files a result depends on, and their state when they were read. */

import { type BigIntStats, statSync } from 'node:fs';
import { isSystemError } from './errors.js';

/** In nanoseconds. */
const SECOND = 1_000_000_000n;
/**
 * How long after a change the next change surely gets another time stamp, in nanoseconds. The clocks of file systems
 * tick every 1 to 10 ms. Some keep whole seconds only, or two of them, which shows in the stamp.
 */
const TICK = 50_000_000n;
const SLOW_TICK = 2n * SECOND;

/** Told of the files that are about to be read. */
export interface InputLog {
  /**
   * Notes the present state of a file or directory, which need not exist. Call it *before* reading: a change in between
   * then makes the note too old, never too new.
   */
  note(path: string): void;
}

/**
 * Identifies the state of a file without reading it: size, modification time, change time and inode. The kernel sets
 * the change time at every write, rename and chmod, and no program can set it. So a replaced file is noticed even if
 * its modification time was restored, as by cp -p, tar or a package manager.
 */
export function identityOf(path: string): string {
  return stateOf(path).identity;
}

/**
 * The same, from what stat(2) says. The device is no part of it: file systems without one of their own get another
 * number at every boot, and only root can mount one over another.
 */
export function identityFrom({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return `${size}:${mtimeNs}:${ctimeNs}:${ino}`;
}

/** `settledAt`: the time after which every change shows in the identity, in nanoseconds since the epoch. */
function stateOf(path: string): { identity: string; settledAt: bigint } {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return { identity: 'absent', settledAt: 0n };
    const settledAt = stat.ctimeNs + (stat.ctimeNs % SECOND === 0n ? SLOW_TICK : TICK);
    return { identity: identityFrom(stat), settledAt };
  } catch (error) {
    if (isSystemError(error)) return { identity: String(error.code), settledAt: 0n };
    throw error;
  }
}

/** An {@link InputLog} that keeps what it is told. */
export class InputRecorder implements InputLog {
  readonly #identities = new Map<string, string>();
  #settledAt = 0n;

  note(path: string): void {
    if (this.#identities.has(path)) return;
    const { identity, settledAt } = stateOf(path);
    this.#identities.set(path, identity);
    if (settledAt > this.#settledAt) this.#settledAt = settledAt;
  }

  /** Path and identity of every file noted, sorted by path. */
  entries(): [string, string][] {
    return [...this.#identities].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /**
   * False if an input changed so recently that another change could have the same time stamp. Then the result must not
   * be cached.
   *
   * @param startedAt When the work began, in milliseconds since the epoch.
   */
  isSettled(startedAt: number): boolean {
    return this.#settledAt < BigInt(Math.floor(startedAt)) * 1_000_000n;
  }
}

/** An {@link InputLog} that keeps nothing. */
export const forgetInputs: InputLog = { note: () => {} };

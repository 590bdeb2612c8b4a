/**
 * Which files an answer depends on, and what they looked like when they were read.
 */

import { statSync } from 'node:fs';
import { isSystemError } from './errors.js';

/** Nanoseconds in a second. */
const SECOND = 1_000_000_000n;
/**
 * How long after a change the next one surely gets another time stamp: a file system's clock ticks every 1 to 10 ms, except
 * where it keeps whole seconds (or two) only, which shows in the stamp.
 */
const TICK = 50_000_000n;
const SLOW_TICK = 2n * SECOND;

/** Where a reader of files says which ones it is about to read. */
export interface InputLog {
  /**
   * Notes the present state of a file or directory. It must be called *before* the thing is read, so that a change in
   * between makes the note too old and never too new. A thing that is not there is noted as such.
   */
  note(path: string): void;
}

/**
 * What tells one state of a file from another without reading it: size, modification time, change time and inode.
 * The change time is set by the kernel at every write, rename and chmod and cannot be set by a program, so a file whose
 * content was replaced and whose modification time was put back (cp -p, tar, a package manager) is still noticed.
 */
export function identityOf(path: string): string {
  return stateOf(path).identity;
}

/** `settledAt`: from when on, in nanoseconds since the epoch, every further change shows in the identity. */
function stateOf(path: string): { identity: string; settledAt: bigint } {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return { identity: 'absent', settledAt: 0n };
    const { size, mtimeNs, ctimeNs, ino } = stat;
    const settledAt = ctimeNs + (ctimeNs % SECOND === 0n ? SLOW_TICK : TICK);
    return { identity: `${size}:${mtimeNs}:${ctimeNs}:${ino}`, settledAt };
  } catch (error) {
    if (isSystemError(error)) return { identity: String(error.code), settledAt: 0n };
    throw error;
  }
}

/** An {@link InputLog} that remembers. */
export class InputRecorder implements InputLog {
  readonly #identities = new Map<string, string>();
  #settledAt = 0n;

  note(path: string): void {
    if (this.#identities.has(path)) return;
    const { identity, settledAt } = stateOf(path);
    this.#identities.set(path, identity);
    if (settledAt > this.#settledAt) this.#settledAt = settledAt;
  }

  /** Path and identity of everything noted, sorted by path. */
  entries(): [string, string][] {
    return [...this.#identities].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /**
   * False when an input changed so lately that a second change could bear the same time stamp. What is not settled may
   * not be remembered.
   *
   * @param startedAt When the work began, in milliseconds since the epoch.
   */
  isSettled(startedAt: number): boolean {
    return this.#settledAt < BigInt(Math.floor(startedAt)) * 1_000_000n;
  }
}

/** An {@link InputLog} for callers that will not ask again. */
export const forgetInputs: InputLog = { note: () => {} };

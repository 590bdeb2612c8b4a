/**
 * Which files an answer depends on, and what they looked like when they were read.
 */

import { statSync } from 'node:fs';
import { isSystemError } from '../errors.js';

/** Nanoseconds in a millisecond. */
const NANOSECONDS = 1_000_000n;

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

function stateOf(path: string): { identity: string; changedAt: bigint } {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return { identity: 'absent', changedAt: 0n };
    return {
      identity: `${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}:${stat.ino}`,
      changedAt: stat.ctimeNs / NANOSECONDS,
    };
  } catch (error) {
    if (isSystemError(error)) return { identity: String(error.code), changedAt: 0n };
    throw error;
  }
}

/** An {@link InputLog} that remembers. */
export class InputRecorder implements InputLog {
  readonly #identities = new Map<string, string>();
  #latestChange = 0n;

  note(path: string): void {
    if (this.#identities.has(path)) return;
    const { identity, changedAt } = stateOf(path);
    this.#identities.set(path, identity);
    if (changedAt > this.#latestChange) this.#latestChange = changedAt;
  }

  /** Path and identity of everything noted, sorted by path. */
  entries(): [string, string][] {
    return [...this.#identities].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /**
   * False when an input changed so lately that a second change could bear the same time stamp: a file system's clock
   * ticks every 4 to 10 ms, and a few keep whole seconds only. What is not settled may not be remembered.
   *
   * @param startedAt When the work began, in milliseconds since the epoch.
   */
  isSettled(startedAt: number): boolean {
    return this.#latestChange < BigInt(Math.floor(startedAt)) - 1000n;
  }
}

/** An {@link InputLog} for callers that will not ask again. */
export const forgetInputs: InputLog = { note: () => {} };

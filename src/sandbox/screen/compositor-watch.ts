/**
 * Whether what shows programs has taken the input that the guest's kernel has for it. The kernel keeps 64 events for it, and
 * drops what comes when these are full: with emulated processors a compositor may stand still for that long.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { attempt } from '../../../init/common/attempt.js';
import type { Guest } from '../../protocol/operations.js';

/** In milliseconds. */
const PATIENCE_MS = 5000;
const LOOK_MS = 5;

/** More than proc_pid_stat(5) has. */
const STAT_BYTES = 4096;

export class CompositorWatch {
  readonly #guest: Guest;
  readonly #pid: number;

  /** @param pid of the compositor, inside */
  constructor(guest: Guest, pid: number) {
    this.#guest = guest;
    this.#pid = pid;
  }

  /**
   * Resolves when it sleeps: it would not, with input to read.
   * @returns false: it does not for long. It may be busy with something else, or be stopped
   */
  async settled(): Promise<boolean> {
    for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; await delay(LOOK_MS)) {
      const stat = await attempt(this.#guest, { op: 'readFile', path: `/proc/${this.#pid}/stat`, limit: STAT_BYTES });
      const state = stat && /\) ([A-Z]) /.exec(Buffer.from(stat).toString('latin1'))?.[1];
      // One that has ended reads nothing.
      if (state === undefined || state === 'S' || state === 'Z') return true;
    }
    return false;
  }
}

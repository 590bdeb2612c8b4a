/** Whether a service that has ended is started again, and when. */
import { SandboxError } from '../../util/errors.js';
import type { RestartPolicy } from '../types.js';
import type { ServiceEnd } from './end.js';

const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
/** One that has run for so long has started well, in milliseconds. */
const WELL_MS = 60_000;

/** How long to wait before the next start: 1 s, and twice as long each time. */
export class BackOff {
  #next = FIRST_MS;

  /**
   * @param ran how long the service ran, in milliseconds
   * @returns milliseconds
   */
  after(ran: number): number {
    if (ran >= WELL_MS) this.#next = FIRST_MS;
    const wait = this.#next;
    this.#next = Math.min(2 * wait, LONGEST_MS);
    return wait;
  }
}

/** @param policy `no` under systemd, which has a policy of its own */
export function startsAgain(policy: RestartPolicy, end: ServiceEnd): boolean {
  if (policy === 'no' || end.why === 'stopped') return false;
  if (end.error !== undefined && needsChange(end.error)) return false;
  return policy === 'always' || end.why !== 'ended' || end.exitCode !== 0;
}

/** Stages that fail by what a person has to change. */
const OF_PEOPLE: readonly string[] = ['arguments', 'config', 'kernel', 'modules'];

/** What no other attempt changes, either. */
const LASTING: readonly string[] = ['service-not-found', 'service-on-system-uri', 'uri-not-supported'];

/** The statuses of a command that is not found, or cannot be executed. */
const NO_COMMAND: readonly number[] = [126, 127];

/** Whether another attempt would fail alike, until somebody changes the service or the host. */
export function needsChange(error: unknown): boolean {
  if (!(error instanceof SandboxError)) return false;
  const { stage, exitCode, code } = error;
  return OF_PEOPLE.includes(stage) || NO_COMMAND.includes(exitCode) || LASTING.includes(code);
}

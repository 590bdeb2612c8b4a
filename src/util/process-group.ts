/** A program that was started with a process group of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isSystemError, valueOr } from './errors.js';

/** Milliseconds that a program has to end by itself, each: once all that it has started is killed, and once asked. */
const PATIENCE = 2000;

/** Start time of a process, in clock ticks after the boot; undefined if it is gone. */
export function startOf(pid: number): string | undefined {
  return statOf(pid).start;
}

interface Stat {
  readonly state: string | undefined;
  readonly group: string | undefined;
  readonly start: string | undefined;
}

/** Fields 3, 5 and 22 of proc_pid_stat(5); undefined if the process is gone. */
function statOf(pid: number): Stat {
  const text = valueOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  // The second field is the program's name in parentheses. It may contain anything, even parentheses.
  const fields = text === '' ? [] : text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0], group: fields[2], start: fields[19] };
}

/**
 * The group of a program. Its number is that of its first process, and no process gets it while somebody is in the
 * group. One that has it later has another start time, and is a stranger.
 */
export class ProcessGroup {
  /** @param start of the leader */
  constructor(
    private readonly leader: number,
    private readonly start = startOf(leader),
  ) {}

  /** Whether the leader has not ended. */
  get isLed(): boolean {
    const { state, start } = statOf(this.leader);
    return start !== undefined && start === this.start && state !== 'Z';
  }

  /**
   * Ends the group, if its leader is still there: without it, it could be another group with that number. All others
   * are killed, once and again, so that the leader can still clean up; then it is asked to end, and killed.
   * @returns false: the leader is still there
   */
  async end(): Promise<boolean> {
    if (!this.isLed) return true;
    // What removes the files of the leader is started by it too, so that is left alone for a while.
    this.#kill();
    await this.#untilEnd();
    if (this.isLed) {
      this.#kill();
      this.#signal('SIGTERM');
      await this.#untilEnd();
    }
    if (this.isLed) {
      this.#signal('SIGKILL');
      await this.#untilEnd();
    }
    await this.killRest();
    return !this.isLed;
  }

  /**
   * Kills all but the leader, which has just ended, until nobody is left: one that is killed may just have started
   * another.
   */
  async killRest(): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (this.#kill() > 0 && performance.now() < end) await delay(5);
  }

  /** @returns how many there were */
  #kill(): number {
    const others = this.#others();
    for (const id of others) signalIfThere(id, 'SIGKILL');
    return others.length;
  }

  #others(): number[] {
    const now = startOf(this.leader);
    if (this.start === undefined || (now !== undefined && now !== this.start)) return [];
    const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== `${this.leader}`);
    return ids.map(Number).filter((id) => {
      const { state, group } = statOf(id);
      return group === `${this.leader}` && state !== 'Z';
    });
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.isLed) signalIfThere(this.leader, signal);
  }

  async #untilEnd(): Promise<void> {
    const end = performance.now() + PATIENCE;
    while (this.isLed && performance.now() < end) await delay(20);
  }
}

function signalIfThere(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch (error) {
    // One that became another user's is not ours to end.
    if (!isSystemError(error, 'ESRCH') && !isSystemError(error, 'EPERM')) throw error;
  }
}

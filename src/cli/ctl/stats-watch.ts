/** Asks running sandboxes again and again what they use. */
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { silentError } from '../../control/errors.js';
import { runningSandboxes } from '../../control/list.js';
import type { SandboxStats } from '../../control/requests.js';
import { SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import { tellFailure } from '../program.js';
import { PROGRAM } from './arguments.js';

/** One sandbox at one time. The names are keys of JSON. */
export interface Sample extends SandboxStats {
  readonly name: string;
  /** Processor time in percent of one processor: since the sample before, else since the sandbox was started. */
  readonly cpuPercent: number;
  /** What was given to the sandbox, in bytes. QEMU itself needs some more. */
  readonly memoryLimit: number;
}

/** What of a sandbox is watched. */
export type Watchable = Pick<ConnectedSandbox, 'stats' | 'close' | 'record'>;

interface Watched {
  readonly sandbox: Watchable;
  /** Of the last sample; `at` in milliseconds since 1970. */
  readonly cpuSeconds: number;
  readonly at: number;
}

export interface StatsWatchOptions {
  /** For root, without names: also those of other users. */
  readonly all: boolean;
  /** How long the holder of a sandbox may take to answer, in milliseconds; default: 5 s. */
  readonly answerMs?: number;
  /** @throws {SandboxError} */
  readonly connect?: (name: string) => Promise<Watchable>;
}

/** Without names it watches all that run, also those that begin later. */
export class StatsWatch {
  readonly #names: readonly string[];
  readonly #options: Required<StatsWatchOptions>;
  readonly #watched = new Map<string, Watched>();
  /** Answers that are awaited, by name. */
  readonly #asked = new Map<string, Promise<Sample | undefined>>();
  /** Names whose answer did not come in time. Another user may have stopped the holder: nobody waits for it again. */
  readonly #late = new Set<string>();
  /** Names that were told to be missing, or have ended. */
  readonly #over = new Set<string>();
  #status = 0;

  constructor(names: readonly string[], options: StatsWatchOptions) {
    this.#names = [...new Set(names)];
    this.#options = { answerMs: 5000, connect: connectSandbox, ...options };
  }

  /** The exit status: that of the first name that was missing, or did not answer. */
  get status(): number {
    return this.#status;
  }

  /** Nothing is left to watch. */
  get isOver(): boolean {
    return this.#names.length > 0 && this.#names.every((name) => this.#over.has(name));
  }

  /** Those that answer in time. */
  async sample(): Promise<Sample[]> {
    const { all } = this.#options;
    const named = this.#names.length > 0;
    const names = named ? this.#names : (await runningSandboxes({ all })).map(({ called }) => called);
    const asked = names.filter((name) => !this.#over.has(name)).map((name) => this.#answerOf(name));
    return (await Promise.all(asked)).filter((sample) => sample !== undefined);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ sandbox }) => sandbox.close()));
  }

  async #answerOf(name: string): Promise<Sample | undefined> {
    const answer = this.#asked.get(name) ?? this.#ask(name);
    this.#asked.set(name, answer);
    if (await settlesWithin(answer, this.#late.has(name) ? 0 : this.#options.answerMs)) {
      this.#asked.delete(name);
      const sample = await answer;
      if (sample !== undefined) this.#late.delete(name);
      return sample;
    }
    if (!this.#late.has(name) && this.#names.length > 0) this.#fail(silentError(name));
    this.#late.add(name);
    return undefined;
  }

  /** @returns undefined for one that is not there any more */
  async #ask(name: string): Promise<Sample | undefined> {
    const known = this.#watched.get(name);
    let asked: Watched | undefined;
    try {
      asked = known ?? (await this.#connected(name));
      const { sandbox, cpuSeconds, at: before } = asked;
      const stats = await sandbox.stats();
      const at = Date.now();
      this.#watched.set(name, { sandbox, cpuSeconds: stats.cpuSeconds, at });
      const seconds = Math.max(0.001, (at - before) / 1000);
      const cpuPercent = (100 * Math.max(0, stats.cpuSeconds - cpuSeconds)) / seconds;
      return { name, ...stats, cpuPercent, memoryLimit: sandbox.record.memory };
    } catch (error) {
      await asked?.sandbox.close();
      if (!(error instanceof SandboxError)) throw error;
      this.#drop(name, known !== undefined, error);
      return undefined;
    }
  }

  async #connected(name: string): Promise<Watched> {
    const sandbox = await this.#options.connect(name);
    return { sandbox, cpuSeconds: 0, at: Date.parse(sandbox.record.created) };
  }

  /** One that was watched has ended, which is no failure. Of those that nobody named none is. */
  #drop(name: string, wasKnown: boolean, error: SandboxError): void {
    this.#watched.delete(name);
    if (this.#names.length === 0) return;
    this.#over.add(name);
    // That it does not answer was told.
    if (!wasKnown && !this.#late.has(name)) this.#fail(error);
  }

  #fail(error: SandboxError): void {
    const status = tellFailure(PROGRAM, error);
    if (this.#status === 0) this.#status = status;
  }
}

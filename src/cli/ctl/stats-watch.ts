/** Asks running sandboxes again and again what they use. */
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { runningSandboxes } from '../../control/list.js';
import type { SandboxStats } from '../../control/requests.js';
import { SandboxError } from '../../util/errors.js';
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

interface Watched {
  readonly sandbox: ConnectedSandbox;
  /** Of the last sample; `at` in milliseconds since 1970. */
  readonly cpuSeconds: number;
  readonly at: number;
}

/** Without names it watches all that run, also those that begin later. */
export class StatsWatch {
  readonly #names: readonly string[];
  readonly #all: boolean;
  readonly #watched = new Map<string, Watched>();
  /** Names that were told to be missing, or have ended. */
  readonly #over = new Set<string>();
  #status = 0;

  /** @param all for root, without names: also those of other users */
  constructor(names: readonly string[], all: boolean) {
    this.#names = [...new Set(names)];
    this.#all = all;
  }

  /** The exit status: that of the first name that was missing. */
  get status(): number {
    return this.#status;
  }

  /** Nothing is left to watch. */
  get isOver(): boolean {
    return this.#names.length > 0 && this.#names.every((name) => this.#over.has(name));
  }

  async sample(): Promise<Sample[]> {
    const named = this.#names.length > 0;
    const names = named ? this.#names : (await runningSandboxes({ all: this.#all })).map(({ called }) => called);
    const samples = await Promise.all(names.filter((name) => !this.#over.has(name)).map((name) => this.#ask(name)));
    return samples.filter((sample) => sample !== undefined);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ sandbox }) => sandbox.close()));
  }

  /** @returns undefined for one that is not there any more */
  async #ask(name: string): Promise<Sample | undefined> {
    try {
      const known = this.#watched.get(name) ?? (await connected(name));
      const stats = await known.sandbox.stats();
      const at = Date.now();
      this.#watched.set(name, { sandbox: known.sandbox, cpuSeconds: stats.cpuSeconds, at });
      const seconds = Math.max(0.001, (at - known.at) / 1000);
      const cpuPercent = (100 * Math.max(0, stats.cpuSeconds - known.cpuSeconds)) / seconds;
      return { name, ...stats, cpuPercent, memoryLimit: known.sandbox.record.memory };
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      await this.#drop(name, error);
      return undefined;
    }
  }

  /** One that was watched has ended, which is no failure. Of those that nobody named none is. */
  async #drop(name: string, error: SandboxError): Promise<void> {
    const known = this.#watched.get(name);
    this.#watched.delete(name);
    await known?.sandbox.close();
    if (this.#names.length === 0) return;
    this.#over.add(name);
    if (known !== undefined) return;
    const status = tellFailure(PROGRAM, error);
    if (this.#status === 0) this.#status = status;
  }
}

async function connected(name: string): Promise<Watched> {
  const sandbox = await connectSandbox(name);
  return { sandbox, cpuSeconds: 0, at: Date.parse(sandbox.record.created) };
}

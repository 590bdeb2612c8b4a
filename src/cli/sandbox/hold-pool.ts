/** Holds a pool: starts the sandboxes that wait, and gives them away until it is removed. virt-sandbox-ctl starts it. */

import { LogWriter } from '../../control/log-writer.js';
import { PoolServer } from '../../control/pool/pool-server.js';
import { SandboxPool } from '../../sandbox/pool/pool.js';
import { claimPool, releasePool } from '../../sandbox/state/pools.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { describeSandbox } from '../describe-sandbox.js';
import { HOLD_POOL, observersFor } from '../hold/caller.js';
import { Caller, Warnings } from '../hold/held.js';
import { failureOf } from '../program.js';
import { programName } from '../program-name.js';
import { parseArguments } from '../sandbox-arguments.js';
import { untilRemoved } from './until-removed.js';
import { debugWish } from './wishes.js';

/** @returns the exit status for this process */
export async function holdPool(): Promise<number> {
  // Its terminal may go, and with it whoever started it.
  process.on('SIGHUP', () => {});
  const caller = new Caller(HOLD_POOL);
  try {
    const [name = '', size = '', ...words] = await caller.words();
    await new PoolHolder(caller, name, words).hold(Number(size));
    return 0;
  } catch (error) {
    const failed = failureOf(programName(), error);
    caller.tell({ failed });
    await caller.end();
    return failed.status;
  }
}

class PoolHolder {
  readonly #caller: Caller;
  readonly #name: string;
  readonly #words: readonly string[];
  readonly #warnings = new Warnings();
  /** Ends the start, and then the pool. */
  readonly #ending = new AbortController();

  constructor(caller: Caller, name: string, words: readonly string[]) {
    this.#caller = caller;
    this.#name = name;
    this.#words = words;
    const end = () => this.#ending.abort();
    caller.gone.addEventListener('abort', end, { once: true });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
  }

  /** Resolves when nothing is left. */
  async hold(size: number): Promise<void> {
    const state = claimPool(this.#name);
    try {
      const pool = await this.#start(size);
      await this.#serve(pool, state.path, size, () => releasePool(state)).finally(() => pool.close());
    } finally {
      releasePool(state);
    }
  }

  async #start(size: number): Promise<SandboxPool> {
    const request = parseArguments(this.#words);
    if ('asks' in request) throw new Error('help is for the caller');
    const { config, note } = await describeSandbox(request.run, false, true);
    const { initDebug } = debugWish();
    const { verbose, debug } = config;
    const observers = observersFor({ verbose, debug, initDebug }, (message) => this.#caller.tell(message));
    if (note !== undefined) observers.onChoice?.(note);
    let isTold = false;
    const options: LaunchOptions = {
      ...observers,
      // Each sandbox has the same to say.
      onFallback: (sentence) => {
        if (!isTold) observers.onFallback?.(sentence);
        isTold = true;
      },
      onWarning: (sentence) => {
        observers.onWarning?.(sentence);
        this.#warnings.add(sentence);
      },
      connect: request.run.connect,
      debugInit: initDebug,
    };
    return SandboxPool.createChecked(size, config, options, this.#ending.signal);
  }

  /** @param release frees the name, when nothing is left */
  async #serve(pool: SandboxPool, directory: string, size: number, release: () => void): Promise<void> {
    const log = await LogWriter.create(directory);
    const created = new Date().toISOString();
    const record = {
      version: 1 as const,
      name: this.#name,
      pid: process.pid,
      created,
      size,
      options: [...this.#words],
    };
    const server = await PoolServer.start(pool, directory, record);
    try {
      this.#warnings.to(log);
      await untilRemoved(server, this.#ending.signal, () => this.#caller.takes(this.#name));
    } finally {
      // Who has it removed hears of it when the name is free.
      release();
      await server.close();
      await log.close();
    }
  }
}

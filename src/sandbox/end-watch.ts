/** Watches a sandbox until nothing of it is left, and stops it before its application ends. */
import { deferred, settlesWithin } from '../util/promises.js';
import { endLaunched } from './end-launched.js';
import { exitOf, failureOf, stoppedError } from './ending.js';
import type { Launched } from './launched.js';
import type { ProcessExit } from './process/types.js';
import type { LaunchOptions } from './types.js';

/** The status of a sandbox without an application, which has ended as it should. */
const STOPPED: ProcessExit = { code: 0, signal: undefined, exitCode: 0, timedOut: false };

/** How long a stopped guest may take to end by itself, in milliseconds. */
const STOP_MS = 2000;

interface Watched {
  readonly launched: Launched;
  /** It has no application. One of a pool may get an application later. */
  readonly isIdle: boolean;
}

export class EndWatch {
  /**
   * Settles when the application has ended, before anything of the sandbox is removed. Undefined, or what `exited` is
   * to reject with.
   */
  readonly ending: Promise<unknown>;
  /** How the application ended. It settles when nothing of the sandbox is left. */
  readonly exited: Promise<ProcessExit>;
  readonly #ending = deferred<unknown>();
  readonly #sandbox: Watched;
  readonly #onWarning: LaunchOptions['onWarning'];
  readonly #before: Promise<unknown>[] = [];
  #stopping = false;
  /** What the guest has written is on the host, so its machine need not end by itself. */
  #isSynced = false;

  constructor(sandbox: Watched, onWarning: LaunchOptions['onWarning']) {
    this.#sandbox = sandbox;
    this.#onWarning = onWarning;
    this.ending = this.#ending.promise;
    this.exited = this.#watch();
    // Callers may ignore this promise.
    this.exited.catch(() => {});
  }

  /** When the application has ended, nothing is removed before this settles, or two seconds have passed. */
  endAfter(work: Promise<unknown>): void {
    this.#before.push(work);
  }

  /** Stops the sandbox with everything in it. Resolves when nothing is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { channel } = this.#sandbox.launched;
    channel.quit();
    const timer = setTimeout(() => channel.destroy(), STOP_MS);
    await this.exited.catch(() => {});
    clearTimeout(timer);
  }

  /** As {@link stop}, and sooner: the guest writes what it has to, and is then killed with all that runs in it. */
  async stopSynced(): Promise<void> {
    const { channel } = this.#sandbox.launched;
    this.#stopping = true;
    const syncing = channel.call({ op: 'sync' }, { tolerate: true }).then(() => {
      this.#isSynced = true;
    });
    // One that fails to, or takes too long, has until the end of stop().
    await settlesWithin(syncing, STOP_MS);
    if (!this.#isSynced) return this.stop();
    channel.destroy();
    await this.exited.catch(() => {});
  }

  /** Ends a machine that is paused for good, and of which nothing is wanted any more. */
  async discard(): Promise<void> {
    this.#stopping = true;
    this.#isSynced = true;
    this.#sandbox.launched.channel.destroy();
    await this.exited.catch(() => {});
  }

  async #watch(): Promise<ProcessExit> {
    const { launched } = this.#sandbox;
    let status: ProcessExit | undefined;
    let failure: unknown;
    try {
      status = await exitOf(launched);
      return status;
    } catch (error) {
      const { isIdle } = this.#sandbox;
      if (this.#stopping && isIdle) return STOPPED;
      failure = this.#stopping ? stoppedError(error) : await failureOf(launched, isIdle, error);
      throw failure;
    } finally {
      launched.shares.end();
      this.#ending.resolve(failure);
      // Whoever waits for it goes first.
      await this.ending;
      await settlesWithin(Promise.allSettled(this.#before), STOP_MS);
      // A guest that sends its status has synced and unmounted everything.
      const options = {
        force: status !== undefined || this.#isSynced,
        keepLogs: status === undefined && !this.#stopping,
      };
      await endLaunched(launched, options, this.#onWarning);
    }
  }
}

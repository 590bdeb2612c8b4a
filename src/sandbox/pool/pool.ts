/** Sandboxes that are set up ahead, for programs that cannot wait for a start. */

import type { SandboxConfig } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import { messageOf } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { withImageRoot } from '../image-root/with-image-root.js';
import { completeConfig } from '../prepare/complete-config.js';
import { allowListeners } from '../process/process.js';
import type { Sandbox } from '../sandbox.js';
import { hostnameOf } from '../setup/guest-config.js';
import { abortError } from '../start/boot-errors.js';
import type { LaunchOptions } from '../types.js';
import { closedError, refillError } from './errors.js';
import { Member } from './member.js';
import { MOST_FAILURES, Stock } from './stock.js';
import { checkTemplate, templateConfig } from './template.js';
import type { PoolOptions, PoolStats, TakeOptions } from './types.js';

/**
 * How long after a take the next sandbox is started, as a part of how long the last start took, and in milliseconds:
 * longer than a take and a short command last. Where one waits for it, it is started at once.
 */
const REST = { part: 0.25, least: 100, most: 5000 };

const COLD =
  'no snapshot serves the sandboxes of the pool, so each of them boots, and takes several times the memory; ' +
  "bake one with: virt-sandbox-bake create --warm --slots mounts=0 --for 'OPTIONS OF THE POOL'";

/** What its sandboxes are started with. */
interface Template {
  readonly config: SandboxConfig;
  readonly options: LaunchOptions;
  /** Gives back what the config needs to stay there. */
  readonly release: () => void;
}

/**
 * Sandboxes that wait, set up and with their processors stopped. One that is taken is replaced.
 *
 * ```ts
 * await using pool = await SandboxPool.create({ size: 4 });
 * await using sandbox = await pool.take();
 * ```
 */
export class SandboxPool implements AsyncDisposable {
  readonly #size: number;
  readonly #template: Template;
  readonly #stock: Stock<Member>;
  readonly #taking = new Set<Promise<unknown>>();
  #taken = 0;
  #restMs = REST.least;
  #isClosed = false;
  /** Lets go of the signal that closes it. */
  #release = () => {};

  private constructor(size: number, template: Template) {
    this.#size = size;
    this.#template = template;
    this.#stock = new Stock(size, () => this.#restMs, {
      make: (signal) => this.#start(signal),
      ended: (member) => member.ended,
      discard: (member) => member.discard(),
      onFailure: (error) => warn(template.options, error),
    });
  }

  /**
   * Creates a pool. Resolves when its first sandbox waits; the others are started in the background.
   * @throws {SandboxError} as `Sandbox.create`; `pool-of-containers`; nothing is left then
   */
  static async create(options: PoolOptions): Promise<SandboxPool> {
    const { checkPool } = await import('./pool-schema.js');
    checkPool(options);
    const { size, signal, ...creating } = options;
    return SandboxPool.#of(size, await templateOf(creating, signal), signal);
  }

  /**
   * Creates a pool of sandboxes whose config is valid, as those of command lines and files are.
   * @param config as `validateConfig` returns it
   * @param signal cancels the creation, or closes the pool
   * @throws {SandboxError} as {@link create}, and `pool-with-name`
   * @internal
   */
  static async createChecked(
    size: number,
    config: SandboxConfig,
    options: LaunchOptions,
    signal: AbortSignal,
  ): Promise<SandboxPool> {
    return SandboxPool.#of(size, await rootedTemplate(config, { ...options, signal }, options), signal);
  }

  static async #of(size: number, template: Template, signal: AbortSignal | undefined): Promise<SandboxPool> {
    const pool = new SandboxPool(size, template);
    const first = await pool.#start(signal).catch((error: unknown) => {
      template.release();
      throw error;
    });
    if (!first.isWarm && template.config.boot !== 'cold') template.options.onWarning?.(COLD);
    pool.#stock.add(first);
    if (signal) pool.#closeOn(signal);
    return pool;
  }

  /**
   * Takes a sandbox, which is then like one of `Sandbox.create`: the pool has nothing more to do with it. Waits for one
   * that is being started if none is ready; those who wait are served in order.
   * @throws {SandboxError} `pool-closed`, `pool-refill-failed`, `aborted`, `config-value-invalid`, `config-key-unknown`,
   *   `name-invalid`, `name-too-long`
   */
  async take(options: TakeOptions = {}): Promise<Sandbox> {
    const { checkTake } = await import('./pool-schema.js');
    checkTake(options);
    const { signal, name } = options;
    if (signal) allowListeners(signal);
    const taking = this.#take(signal, name === undefined ? undefined : hostnameOf(name));
    this.#taking.add(taking);
    try {
      const sandbox = await taking;
      if (signal) sandbox.stopOn(signal);
      this.#taken += 1;
      return sandbox;
    } catch (error) {
      throw signal?.aborted ? abortError(signal.reason) : error;
    } finally {
      this.#taking.delete(taking);
    }
  }

  /**
   * Resolves when as many wait as the pool has room for.
   * @throws {SandboxError} `pool-closed`, `pool-refill-failed`
   */
  async filled(): Promise<void> {
    await this.#orRefillError(this.#stock.filled());
  }

  /**
   * The names of those that wait.
   * @internal
   */
  get names(): readonly string[] {
    return this.#stock.idle.map(({ name }) => name);
  }

  async stats(): Promise<PoolStats> {
    const { idle, starting } = this.#stock.state;
    const bytes = await Promise.all(this.#stock.idle.map((member) => member.privateBytes()));
    const known = bytes.filter((number) => number !== undefined);
    const sum = known.reduce((all, number) => all + number, 0);
    return {
      size: this.#size,
      idle,
      starting,
      taken: this.#taken,
      privateBytesPerMember: known.length === 0 ? undefined : Math.round(sum / known.length),
    };
  }

  /** Ends all that wait. Those that were taken stay. Resolves when nothing is left; pending takes reject. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#release();
    await this.#stock.close(closedError());
    // One that was being taken is discarded.
    await Promise.allSettled(this.#taking);
    await this.#stock.discarded();
    this.#template.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(signal: AbortSignal | undefined): Promise<Member> {
    const member = await startMember(this.#template, signal);
    this.#restMs = Math.min(Math.max((member.ready - member.begun) * REST.part, REST.least), REST.most);
    return member;
  }

  /** The first that is what would be started now, and that answers. */
  async #take(signal: AbortSignal | undefined, hostname: string | undefined): Promise<Sandbox> {
    const asked = performance.now();
    for (let isAgain = false; ; isAgain = true) {
      const member = await this.#orRefillError(this.#stock.take(signal, isAgain));
      try {
        // One that was started for this call cannot be old.
        const change = member.begun < asked ? await member.change() : undefined;
        if (change !== undefined) {
          await this.#discardAll(member, change);
          continue;
        }
        const waking = member.wake(hostname, this.#template.options.onWarning);
        const sandbox = await unlessAborted(waking, signal, abortError);
        if (this.#isClosed) throw closedError();
        this.#stock.succeeded();
        return sandbox;
      } catch (error) {
        this.#stock.discard(member);
        if (this.#isClosed) throw closedError();
        if (signal?.aborted) throw error;
        // One that has waited had something against it that the next one need not have.
        if (member.ready < asked) warn(this.#template.options, error);
        else if (this.#stock.failed(error)) throw refillError(MOST_FAILURES, error);
      }
    }
  }

  /** Others are started in their place. */
  async #discardAll(stale: Member, change: string): Promise<void> {
    this.#template.options.onChoice?.(`pool: started anew, because ${change} changed`);
    this.#stock.discard(stale);
    const idle = [...this.#stock.idle];
    const changes = await Promise.all(idle.map((member) => member.change()));
    const others = new Set(idle.filter((_member, at) => changes[at] !== undefined));
    this.#stock.discardIf((member) => others.has(member));
  }

  async #orRefillError<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise;
    } catch (error) {
      if (this.#isClosed || this.#stock.isWorking) throw error;
      throw refillError(MOST_FAILURES, error);
    }
  }

  #closeOn(signal: AbortSignal): void {
    const close = () => void this.close();
    signal.addEventListener('abort', close, { once: true });
    this.#release = () => signal.removeEventListener('abort', close);
    if (signal.aborted) close();
  }
}

function warn({ onWarning }: LaunchOptions, error: unknown): void {
  onWarning?.(`a sandbox of the pool failed: ${messageOf(error)}`);
}

async function templateOf(
  creating: Omit<PoolOptions, 'size' | 'signal'>,
  signal: AbortSignal | undefined,
): Promise<Template> {
  const { createdSandbox } = await import('../prepare/create-options.js');
  const { sandbox, launching } = createdSandbox(creating);
  // The caller may change its objects meanwhile.
  const config = structuredClone(validateConfig(await completeConfig({ ...sandbox, command: [] }), true));
  return rootedTemplate(config, { ...launching, signal }, launching);
}

/**
 * All sandboxes of a pool have the image that its name means now.
 * @param pulling for the image
 * @param options of each sandbox
 */
async function rootedTemplate(
  config: SandboxConfig,
  pulling: LaunchOptions,
  options: LaunchOptions,
): Promise<Template> {
  checkTemplate(config);
  const { config: rooted, release } = await withImageRoot(config, pulling, 'none');
  try {
    return { config: templateConfig(rooted), options, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** @param signal cancels the start; one that has started stays */
async function startMember({ config, options }: Template, signal: AbortSignal | undefined): Promise<Member> {
  const cancelling = new AbortController();
  const cancel = () => cancelling.abort(signal?.reason);
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted) cancel();
  try {
    return await Member.start(config, { ...options, signal: cancelling.signal });
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

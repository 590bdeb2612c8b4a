/** A sandbox of a pool: set up to its end, and its processors stopped until somebody takes it. */
import type { SandboxConfig } from '../../config/types.js';
import { type Monitor, MonitorError } from '../../libvirt/monitor.js';
import { settlesWithin } from '../../util/promises.js';
import { makeHomeDirectory } from '../devices/home-directory.js';
import { leaseRoot } from '../image-root/with-image-root.js';
import { prepare } from '../prepare/prepare.js';
import { Sandbox } from '../sandbox.js';
import type { LaunchOptions } from '../types.js';
import { ofContainers, silentError, unpausedError } from './errors.js';
import { Origin } from './origin.js';
import { PausedMachine } from './paused.js';
import { privateBytes } from './private-memory.js';
import { rehearse } from './rehearse.js';
import { wakeGuest } from './wake.js';

/** How long a member may take to answer that somebody takes, in milliseconds. It takes some 10 on a host with time. */
const ANSWER_MS = 5000;

/** How long its clock may be corrected on a host without time, in milliseconds. */
const CORRECTION_MS = 1000;

/** How long a QEMU may take to let its machine run, in milliseconds. One that has ended says so at once. */
const RESUME_MS = 1000;

/** How long the end of a machine may take to be told once its monitor has broken, in milliseconds. */
const TOLD_MS = 5000;

export class Member {
  /** When its start began, by the clock of `performance.now()`. */
  readonly begun: number;
  /** When it was ready, by that clock. */
  readonly ready = performance.now();
  readonly #sandbox: Sandbox;
  readonly #paused: PausedMachine;
  readonly #origin: Origin;

  private constructor(begun: number, sandbox: Sandbox, paused: PausedMachine, origin: Origin) {
    this.begun = begun;
    this.#sandbox = sandbox;
    this.#paused = paused;
    this.#origin = origin;
  }

  /**
   * Starts a sandbox, and stops its processors.
   * @param config as `validateConfig` returns it, without a command
   * @throws {SandboxError} as `Sandbox.create`; `pool-of-containers`. Nothing is left then
   */
  static async start(config: SandboxConfig, options: LaunchOptions): Promise<Member> {
    // One that is taken may live longer than its pool.
    const release = await leaseRoot(config);
    try {
      const member = await Member.#start(config, options);
      member.#sandbox.releaseAfter(release);
      return member;
    } catch (error) {
      release();
      throw error;
    }
  }

  static async #start(config: SandboxConfig, options: LaunchOptions): Promise<Member> {
    const begun = performance.now();
    // What it is known by is looked at before the start.
    makeHomeDirectory(config);
    const prepared = await prepare(config, options);
    const preparing = performance.now() - begun;
    if (prepared.platform === 'container') {
      await prepared.connection.close();
      throw ofContainers(prepared.connection.uri);
    }
    const origin = new Origin(config, options, prepared);
    const sandbox = await Sandbox.startPrepared(config, { ...prepared, waits: true }, options, preparing);
    try {
      await rehearse(sandbox, config.bootTimeout);
      return new Member(begun, sandbox, await PausedMachine.pause(monitorOf(sandbox)), origin);
    } catch (error) {
      const reason = error instanceof MonitorError ? await reasonOf(error, sandbox) : error;
      await sandbox.stop();
      throw reason;
    }
  }

  /** False: it has booted, since no snapshot serves it. */
  get isWarm(): boolean {
    return this.#sandbox.launched.boot === 'warm';
  }

  /** The name of its domain. */
  get name(): string {
    return this.#sandbox.name;
  }

  /** Settles when its machine is gone. */
  get ended(): Promise<unknown> {
    return this.#sandbox.exited;
  }

  /** What has changed since it was started, so that another one would be started now; undefined: nothing has. */
  change(): Promise<string | undefined> {
    return this.#origin.change();
  }

  /** @returns undefined if its QEMU may not be looked at */
  async privateBytes(): Promise<number | undefined> {
    const pid = await this.#sandbox.launched.qemuPid();
    return pid === undefined ? undefined : privateBytes(pid);
  }

  /**
   * Lets it run, and gives it the time, random bytes and its host name.
   * @throws {Error} if it does not answer in time, or wrongly: discard it
   */
  async wake(hostname: string | undefined, onWarning: LaunchOptions['onWarning']): Promise<Sandbox> {
    const { channel, guest } = this.#sandbox.launched;
    const waking = Promise.all([this.#paused.resume(), wakeGuest(channel, guest, hostname)]);
    if (!(await settlesWithin(waking, ANSWER_MS))) throw silentError(ANSWER_MS);
    const [, clock] = await waking;
    const correcting = clock.correct();
    if (await settlesWithin(correcting, CORRECTION_MS)) await correcting;
    if (!clock.isRight) onWarning?.(clock.warning);
    return this.#sandbox;
  }

  /** Ends it. Never rejects. */
  async discard(): Promise<void> {
    // One that runs ends by itself, with everything written.
    await settlesWithin(this.#paused.resume(), RESUME_MS);
    await this.#sandbox.stop();
  }
}

function monitorOf({ launched: { monitor } }: Sandbox): Monitor {
  if (monitor === undefined) throw new Error('a machine has a monitor');
  return monitor;
}

/**
 * Why a machine was not stopped. One that has ended says why, and not that its monitor broke; which of both is seen first
 * is up to the host.
 */
async function reasonOf(error: MonitorError, { exited }: Sandbox): Promise<unknown> {
  if (!(await settlesWithin(exited, TOLD_MS))) return unpausedError(error);
  return exited.then(
    () => unpausedError(error),
    (ended: unknown) => ended,
  );
}

/** The life of a service: it is started, watched, and started again, until it is stopped or has ended for good. */
import { setTimeout as delay } from 'node:timers/promises';
import { stopServed, stopSignalOf } from '../../control/answers.js';
import { Pause } from '../../control/pause.js';
import { serveControl } from '../../control/server.js';
import type { ProcessExit } from '../../sandbox/process/types.js';
import { Sandbox } from '../../sandbox/sandbox.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { SandboxError } from '../../util/errors.js';
import { deferred, settlesWithin } from '../../util/promises.js';
import type { Service } from '../types.js';
import { endOf, endText, failedEnd, type ServiceEnd, stoppedEarly } from './end.js';
import { endedEarly, startStopped, startTimeout } from './errors.js';
import { checkOf, unitsOf, watchHealth } from './health.js';
import type { LifeObserver } from './observer.js';
import { untilReady, type Waiting, waitingFor, waitsFor } from './ready.js';
import { BackOff, startsAgain } from './restart.js';
import { startError } from './start-error.js';
import { idleLimitTexts } from './unit-limits.js';

/** How a start ends that somebody stops. */
const BY_STOP: readonly string[] = ['stopped', 'aborted', 'service-stopped', 'service-ended'];

/** How long the limits of units may be waited for when the service is ready, in milliseconds. */
const LIMITS_MS = 5000;

export interface RunnerOptions {
  /** Observers of a start, and how it is done. */
  readonly launch?: LaunchOptions;
  /** Whether the restart policy of the service counts. Under systemd, systemd has one. */
  readonly restarts: boolean;
  /** Before it is started again. */
  readonly prepare?: () => Promise<void>;
  /** Kills it when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

export class ServiceRunner {
  /** Resolves when it is ready first; rejects if it does not start. */
  readonly ready: Promise<void>;
  /** How it has ended for good. Nothing is left of it then. */
  readonly ended: Promise<ServiceEnd>;
  readonly #ready = deferred<void>();
  readonly #service: Service;
  readonly #observer: LifeObserver;
  readonly #options: RunnerOptions;
  /** Aborts when it is to end. */
  readonly #stopping = new AbortController();
  #stopTimeout: number;
  #sandbox: Sandbox | undefined;
  /** The sandbox that runs is being ended. */
  #ending: Promise<void> | undefined;
  #restarts = 0;
  /** Ends a start before its command runs. */
  #cancelStart: (reason: unknown) => void = () => {};

  constructor(service: Service, observer: LifeObserver, options: RunnerOptions) {
    this.#service = service;
    this.#observer = observer;
    this.#options = options;
    this.#stopTimeout = service.settings.stopTimeout;
    this.ready = this.#ready.promise;
    // Callers may ignore it.
    this.ready.catch(() => {});
    options.signal?.addEventListener('abort', () => void this.stop(0), { once: true });
    this.ended = this.#live();
    if (options.signal?.aborted) void this.stop(0);
  }

  /**
   * Asks the program to end, kills it after `timeout` milliseconds, and starts it no more. Resolves when nothing is left.
   * A later call with less time counts.
   */
  async stop(timeout = this.#service.settings.stopTimeout): Promise<void> {
    this.#stopTimeout = timeout;
    if (!this.#stopping.signal.aborted) this.#beginStop();
    const sandbox = this.#sandbox;
    if (sandbox !== undefined && !(await settlesWithin(this.ended, timeout))) await stopServed(sandbox, 0);
    await this.ended;
  }

  #beginStop(): void {
    this.#stopping.abort();
    this.#cancelStart(startStopped(this.#service.name));
    const sandbox = this.#sandbox;
    if (sandbox === undefined) return;
    this.#observer.onPhase('stopping', { sandbox });
    void this.#end(sandbox);
  }

  /** Asks the program once. Resolves when nothing is left. */
  #end(sandbox: Sandbox): Promise<void> {
    this.#ending ??= stopServed(sandbox, this.#stopTimeout);
    return this.#ending;
  }

  async #live(): Promise<ServiceEnd> {
    // The constructor returns first.
    await Promise.resolve();
    const backOff = new BackOff();
    const policy = this.#options.restarts ? this.#service.settings.restart : 'no';
    for (;;) {
      const begun = performance.now();
      const wasReady = { value: false };
      const end = await this.#liveOnce(wasReady);
      const isFirst = this.#restarts === 0 && !wasReady.value;
      if (isFirst) this.#ready.reject(end.error ?? endedEarly(this.#service.name, endText(end)));
      const isOver = isFirst || this.#stopping.signal.aborted || !startsAgain(policy, end);
      if (isOver || !(await this.#waits(end, backOff.after(performance.now() - begun)))) {
        // One that was stopped while it waited has failed before, and is stopped now.
        const isWell = !isOver || end.why === 'stopped' || (end.why === 'ended' && end.exitCode === 0);
        this.#observer.onPhase(isWell ? 'stopped' : 'failed', { end });
        return end;
      }
      this.#restarts += 1;
    }
  }

  /** @returns false if it is stopped meanwhile */
  async #waits(end: ServiceEnd, milliseconds: number): Promise<boolean> {
    const again = new Date(Date.now() + milliseconds);
    this.#observer.onPhase('waiting', { end, again });
    this.#observer.onNote(`${endText(end)}; it starts again in ${milliseconds / 1000} s`);
    const { signal } = this.#stopping;
    await delay(milliseconds, undefined, { signal }).catch(() => {});
    return !signal.aborted;
  }

  /** From a start to its end. Nothing of the sandbox is left then. */
  async #liveOnce(wasReady: { value: boolean }): Promise<ServiceEnd> {
    const waiting = waitingFor('its sandbox does not run yet', this.#options.launch?.onProgress);
    const { name, settings } = this.#service;
    const over = new AbortController();
    const giveUp = async () => {
      const what = await waitsFor(waiting);
      if (!over.signal.aborted) this.#cancelStart(startTimeout(name, settings.startTimeout, what));
    };
    const timer = setTimeout(() => void giveUp(), settings.startTimeout);
    this.#observer.onPhase('starting', { restarts: this.#restarts });
    try {
      const sandbox = await this.#start(waiting);
      const pause = new Pause(sandbox.launched);
      const ending = this.#follow(sandbox, pause);
      // It may fail while something else is waited for.
      ending.catch(() => {});
      await this.#untilReady(sandbox, ending, waiting);
      clearTimeout(timer);
      wasReady.value = true;
      this.#observer.onPhase('running', { sandbox, pause });
      this.#ready.resolve();
      const unhealthy = this.#watch(sandbox, pause, over.signal);
      const exit = await ending;
      if (this.#stopping.signal.aborted) return endOf('stopped', exit, stopSignalOf(sandbox.launched.config));
      return endOf((await settlesWithin(unhealthy, 0)) ? 'unhealthy' : 'ended', exit);
    } catch (error) {
      return this.#failed(error);
    } finally {
      clearTimeout(timer);
      over.abort();
      this.#cancelStart = () => {};
      this.#sandbox = undefined;
      this.#ending = undefined;
    }
  }

  async #failed(error: unknown): Promise<ServiceEnd> {
    if (this.#sandbox !== undefined) {
      this.#observer.onPhase('stopping', { sandbox: this.#sandbox });
      await this.#end(this.#sandbox);
    }
    const isAsked = this.#stopping.signal.aborted && error instanceof SandboxError && BY_STOP.includes(error.code);
    return isAsked ? stoppedEarly(startStopped(this.#service.name)) : failedEnd(error);
  }

  /** Everything is found anew, so that another kernel or QEMU does not matter. */
  async #start(waiting: Waiting): Promise<Sandbox> {
    const { config, settings } = this.#service;
    const starting = new AbortController();
    let why: unknown;
    this.#cancelStart = (reason) => {
      why ??= reason;
      starting.abort(reason);
    };
    if (this.#restarts > 0) await this.#options.prepare?.();
    if (this.#stopping.signal.aborted) throw startStopped(this.#service.name);
    const { launch } = this.#options;
    const options: LaunchOptions = {
      ...launch,
      connect: settings.connect ?? launch?.connect,
      signal: starting.signal,
      onProgress: (message) => {
        waiting.waitsFor = `it was busy with: ${message}`;
        launch?.onProgress?.(message);
      },
    };
    try {
      const sandbox = await Sandbox.startChecked(config, options, 'optional');
      if (why === undefined) this.#sandbox = sandbox;
      else await sandbox.stop();
    } catch (error) {
      throw why ?? (await startError(this.#service, error));
    }
    if (this.#sandbox === undefined) throw why;
    return this.#sandbox;
  }

  /** Serves it to others, and takes its output. Resolves when nothing is left. */
  async #follow(sandbox: Sandbox, pause: Pause): Promise<ProcessExit> {
    sandbox.stdin.end();
    for (const stream of ['stdout', 'stderr'] as const) sandbox.endAfter(this.#copy(sandbox, stream));
    const serving = serveControl(sandbox, { detached: true, onStop: () => this.#stopping.abort(), pause });
    sandbox.endAfter(serving);
    try {
      const server = await serving;
      try {
        return await sandbox.exited;
      } finally {
        await server.close();
      }
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  async #copy(sandbox: Sandbox, stream: 'stdout' | 'stderr'): Promise<void> {
    for await (const chunk of sandbox[stream]) await this.#observer.onOutput(stream, chunk as Buffer);
  }

  async #untilReady(sandbox: Sandbox, ending: Promise<ProcessExit>, waiting: Waiting): Promise<void> {
    const { name } = this.#service;
    const givingUp = new AbortController();
    this.#cancelStart = (reason) => givingUp.abort(reason);
    if (this.#stopping.signal.aborted) givingUp.abort(startStopped(name));
    void ending.then(
      (exit) => givingUp.abort(endedEarly(name, endText(endOf('ended', exit)))),
      (error: unknown) => givingUp.abort(error),
    );
    const telling = this.#tellLimits(sandbox, givingUp.signal);
    // It may fail while something else is waited for.
    telling.catch(() => {});
    try {
      await untilReady(sandbox, this.#service, waiting, givingUp.signal);
      await settlesWithin(telling, LIMITS_MS);
      // It may have ended meanwhile, or is to.
      givingUp.signal.throwIfAborted();
    } catch (error) {
      // It is not yet known how it has ended.
      if (error instanceof SandboxError && error.code === 'process-lost') await ending.catch(() => {});
      givingUp.signal.throwIfAborted();
      throw error;
    }
  }

  /** Warns of limits that have no effect. While systemd starts, the question costs nothing. */
  async #tellLimits(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    const texts = await idleLimitTexts(sandbox, unitsOf(this.#service.config), sandbox.launched.guest, signal);
    for (const text of texts) this.#options.launch?.onWarning?.(text);
  }

  /** Resolves when the service is unhealthy and ends by it. */
  #watch(sandbox: Sandbox, pause: Pause, signal: AbortSignal): Promise<void> {
    const unhealthy = deferred<void>();
    const { settings } = this.#service;
    const check = checkOf(this.#service);
    if (check === undefined) return unhealthy.promise;
    let wasWell = true;
    this.#observer.onHealth({ isWell: true, failures: 0, checked: new Date() });
    const watch = { check, interval: settings.healthInterval, pause };
    const watching = watchHealth(sandbox, watch, signal, (found) => {
      this.#observer.onHealth(found);
      if (found.isWell !== wasWell)
        this.#observer.onNote(found.isWell ? 'it is healthy again' : `it is unhealthy: ${found.said}`);
      wasWell = found.isWell;
      if (found.isWell || settings.restart === 'no') return;
      unhealthy.resolve();
      void this.#end(sandbox);
    });
    watching.catch((error: unknown) => this.#observer.onNote(`its health is not checked any more: ${String(error)}`));
    return unhealthy.promise;
  }
}

/**
 * Holds a sandbox still for a host that is connected. It goes on when that host asks for it or is gone, however that
 * ends; so whoever copies the state of a service and is killed does not stop the service.
 */
import { constants } from 'node:os';
import type { Launched } from '../sandbox/launched.js';
import { PausedMachine } from '../sandbox/pool/paused.js';
import { Refusal } from './serving.js';

/** What can be held still. */
type Pausable = Pick<Launched, 'monitor' | 'domain'>;

export class Pause {
  readonly #sandbox: Pausable;
  /** Of the host that holds it still. */
  #lease: AbortSignal | undefined;
  #paused: Promise<() => Promise<void>> | undefined;

  constructor(sandbox: Pausable) {
    this.#sandbox = sandbox;
  }

  /** Whether a host holds it still, or is about to. What is inside answers nobody then. */
  get isHeld(): boolean {
    return this.#lease !== undefined;
  }

  /**
   * Resolves when nothing inside runs: no processor of a machine, and what it has asked the host for is done.
   * @param lease aborts when the host is gone
   * @throws {Refusal} if another host holds it still
   * @throws {SandboxError} of `Domain.suspend`; {MonitorError}
   */
  async begin(lease: AbortSignal): Promise<void> {
    if (this.#lease !== undefined)
      throw new Refusal(constants.errno.EBUSY, 'control: another host holds the sandbox still');
    this.#lease = lease;
    const paused = pause(this.#sandbox);
    this.#paused = paused;
    const release = () => void this.end(lease).catch(() => {});
    lease.addEventListener('abort', release, { once: true });
    try {
      await paused;
    } catch (error) {
      this.#forget();
      throw error;
    }
    if (lease.aborted) release();
  }

  /**
   * Lets it go on. Does nothing if that host does not hold it still.
   * @throws {SandboxError} of `Domain.resume`; {MonitorError}
   */
  async end(lease: AbortSignal): Promise<void> {
    if (this.#lease !== lease || this.#paused === undefined) return;
    const paused = this.#paused;
    this.#paused = undefined;
    try {
      await (await paused)();
    } finally {
      this.#forget();
    }
  }

  #forget(): void {
    this.#lease = undefined;
    this.#paused = undefined;
  }
}

/** @returns how it goes on */
async function pause({ monitor, domain }: Pausable): Promise<() => Promise<void>> {
  if (monitor !== undefined) {
    const machine = await PausedMachine.pause(monitor);
    return () => machine.resume();
  }
  const { suspend, resume } = domain;
  if (suspend === undefined || resume === undefined)
    throw new Refusal(constants.errno.ENOTSUP, 'control: this sandbox cannot be held still');
  await suspend.call(domain);
  return () => resume.call(domain);
}

/** A machine whose processors are stopped, so that it takes no time of the host's. */
import type { Monitor } from '../../libvirt/monitor.js';

export class PausedMachine {
  readonly #monitor: Monitor;
  readonly #ignore: () => void;

  private constructor(monitor: Monitor) {
    this.#monitor = monitor;
    // The embedded driver is still starting the domain when it counts as started, and then lets the machine run.
    this.#ignore = monitor.listen(({ name }) => {
      if (name === 'RESUME') monitor.execute('stop').catch(() => {});
    });
  }

  /** Stops the processors. @throws {MonitorError} */
  static async pause(monitor: Monitor): Promise<PausedMachine> {
    await monitor.execute('stop');
    return new PausedMachine(monitor);
  }

  /** Lets them run. @throws {MonitorError} */
  async resume(): Promise<void> {
    this.#ignore();
    await this.#monitor.execute('cont');
  }
}

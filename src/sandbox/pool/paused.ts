/** A machine whose processors are stopped, so that it takes no time of the host's. */
import type { Monitor } from '../../libvirt/monitor.js';

/** How often a machine is stopped again that somebody else lets run. Libvirt does so once. A QEMU may lie. */
const MOST_STOPS = 8;

export class PausedMachine {
  readonly #monitor: Monitor;
  readonly #ignore: () => void;

  private constructor(monitor: Monitor, ignore: () => void) {
    this.#monitor = monitor;
    this.#ignore = ignore;
  }

  /** Stops the processors. @throws {MonitorError} */
  static async pause(monitor: Monitor): Promise<PausedMachine> {
    let stops = 0;
    // The embedded driver is still starting the domain when it counts as started, and then lets the machine run.
    const ignore = monitor.listen(({ name }) => {
      if (name !== 'RESUME' || stops >= MOST_STOPS) return;
      stops += 1;
      monitor.execute('stop').catch(() => {});
    });
    try {
      await monitor.execute('stop');
    } catch (error) {
      ignore();
      throw error;
    }
    return new PausedMachine(monitor, ignore);
  }

  /** Lets them run. @throws {MonitorError} */
  async resume(): Promise<void> {
    this.#ignore();
    await this.#monitor.execute('cont');
  }
}

/** Serves a sandbox to other processes while its application runs at this terminal. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ControlServer } from '../../control/server.js';
import type { Sandbox } from '../../sandbox/sandbox.js';

/**
 * Begins when the application runs, which does not wait for it. Where it fails, as on a full disk, the application runs
 * on, and no other process finds the sandbox.
 */
export function serveBeside(sandbox: Sandbox): Pick<ControlServer, 'close'> {
  const serving = new Serving(sandbox);
  return { close: () => serving.close() };
}

class Serving {
  readonly #sandbox: Sandbox;
  #hasEnded = false;
  /** Undefined: it is not loaded yet. */
  #server: Promise<ControlServer> | undefined;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    void sandbox.ending.then(() => {
      this.#hasEnded = true;
    });
    // The application needs none of it, so that no failure counts, whatever it is.
    this.#begin().catch(() => {});
  }

  /** What is not loaded by then is not waited for. */
  async close(): Promise<void> {
    this.#hasEnded = true;
    const server = await this.#server?.catch(() => undefined);
    await server?.close();
  }

  async #begin(): Promise<void> {
    await nextTurn();
    const { serveControl } = await import('../../control/server.js');
    // Its directory may be another sandbox's by then.
    if (this.#hasEnded) return;
    this.#server = serveControl(this.#sandbox, { detached: false });
    await this.#server;
  }
}

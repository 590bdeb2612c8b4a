/**
 * A TCP port at which viewers of VNC are let in with a password. QEMU, which each is handed to, asks for it. It keeps 32
 * that have not given it, and lets go the eldest when there is one more.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ScreenListen } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import { deferred } from '../../util/promises.js';
import { listenError } from '../publish/listen-error.js';
import { newPassword } from './password.js';
import type { Listening } from './types.js';

/** Who may wait to be handed over, which takes a moment once there is a screen. */
const MOST_WAITING = 16;

type HandOver = (viewer: Socket) => Promise<void>;

export class ViewerPort {
  readonly listening: Listening;
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  readonly #handOver = deferred<HandOver>();

  private constructor(server: Server, address: ScreenListen['address']) {
    this.#server = server;
    this.listening = { address, port: (server.address() as AddressInfo).port, password: newPassword() };
    server.on('connection', (viewer) => void this.#take(viewer));
    // One that cannot be accepted is lost alone; and nor is the port a reason to keep this process.
    server.on('error', () => {}).unref();
  }

  /**
   * Listens. Viewers wait until {@link serve}.
   * @throws {SandboxError} `port-taken`, `port-not-allowed`, `address-not-here`, `port-unusable`
   */
  static async open({ address, port }: ScreenListen): Promise<ViewerPort> {
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    server.maxConnections = MOST_WAITING;
    server.listen({ host: address, port });
    try {
      await once(server, 'listening');
    } catch (error) {
      throw listenError('TCP', address, port, error);
    }
    return new ViewerPort(server, address);
  }

  /**
   * Has QEMU ask for the password, and then hands it the viewers.
   * @throws {MonitorError}
   */
  async serve(monitor: Monitor, handOver: HandOver): Promise<void> {
    // Not in the domain's XML, which is in files.
    await monitor.execute('set_password', { protocol: 'vnc', password: this.listening.password });
    this.#handOver.resolve(handOver);
  }

  /** Those that were handed over stay as long as QEMU. */
  close(): void {
    this.#server.close();
    for (const viewer of this.#waiting) viewer.destroy();
  }

  /** Nothing is read from it here. */
  async #take(viewer: Socket): Promise<void> {
    this.#waiting.add(viewer);
    viewer.on('error', () => {});
    const gone = once(viewer, 'close');
    try {
      const handOver = await Promise.race([this.#handOver.promise, gone.then(() => undefined)]);
      await handOver?.(viewer);
    } catch {
      // The machine ends.
    } finally {
      this.#waiting.delete(viewer);
      viewer.destroy();
    }
  }
}

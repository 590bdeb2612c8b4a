/** The ports that a sandbox publishes from its start on. They are taken before anything is started. */
import type { Publish } from '../../config/types.js';
import { listen } from './listen.js';
import type { PortServer } from './port-server.js';
import type { PublishedPort } from './published-port.js';
import type { Publisher } from './publisher.js';

export class OpenPorts {
  readonly #ports: { readonly server: PortServer; readonly guestPort: number }[] = [];

  /**
   * Listens. Connections wait, and datagrams are lost, until {@link serve}.
   * @throws {SandboxError} as `listen`; none is open then
   */
  static async open(publish: readonly Publish[]): Promise<OpenPorts> {
    const open = new OpenPorts();
    try {
      for (const { protocol, address, hostPort, guestPort } of publish)
        open.#ports.push({ server: await listen(protocol, address, hostPort), guestPort });
    } catch (error) {
      await open.close();
      throw error;
    }
    return open;
  }

  serve(publisher: Publisher): PublishedPort[] {
    return this.#ports.map(({ server, guestPort }) => publisher.serve(server, guestPort));
  }

  async close(): Promise<void> {
    await Promise.all(this.#ports.map(({ server }) => server.close()));
  }
}

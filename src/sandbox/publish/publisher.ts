/** Publishes ports of one sandbox. */
import type { GuestConfig } from '../../../init/common/config.js';
import { LOOPBACK } from '../../config/parsers/publish.js';
import type { Channel } from '../../protocol/channel.js';
import { SandboxError } from '../../util/errors.js';
import { startBuiltin } from '../process/builtin.js';
import { ClientLimit } from './client-limit.js';
import { listen } from './listen.js';
import type { PortServer } from './port-server.js';
import { checkPublish } from './publish-schema.js';
import { PublishedPort } from './published-port.js';
import type { PublishOptions } from './types.js';

export class Publisher {
  readonly #channel: Channel;
  readonly #guest: GuestConfig;
  readonly #limit = new ClientLimit();
  readonly #servers = new Set<PortServer>();
  #isOver = false;

  constructor(channel: Channel, guest: GuestConfig) {
    this.#channel = channel;
    // The working directory may be gone, and does not matter here.
    this.#guest = { ...guest, cwd: '/' };
    const end = () => {
      this.#isOver = true;
      for (const server of this.#servers) void server.close();
    };
    channel.application.exited.then(end, end);
  }

  /** @throws {SandboxError} as `Session.publish` */
  async publish(guestPort: number, options: PublishOptions): Promise<PublishedPort> {
    checkPublish(guestPort, options);
    const { protocol = 'tcp', host = LOOPBACK, hostPort = 0, signal } = options;
    signal?.throwIfAborted();
    const server = await listen(protocol, host, hostPort);
    if (this.#isOver || signal?.aborted) {
      await server.close();
      signal?.throwIfAborted();
      throw endedError(guestPort);
    }
    if (signal) closeOn(signal, server);
    return this.serve(server, guestPort);
  }

  /** Carries the clients of a port to one of the sandbox, and closes it when the sandbox ends, or has ended. */
  serve(server: PortServer, guestPort: number): PublishedPort {
    this.#servers.add(server);
    server.closed.then(() => this.#servers.delete(server));
    server.serve({
      limit: this.#limit,
      connect: (options) => {
        const argv = [server.protocol === 'udp' ? 'connect-udp' : 'connect', String(guestPort)];
        return startBuiltin(this.#channel, this.#guest, argv, `port ${guestPort}`, options);
      },
    });
    const port = new PublishedPort(server, guestPort);
    if (this.#isOver) void server.close();
    return port;
  }
}

function closeOn(signal: AbortSignal, server: PortServer): void {
  const close = () => void server.close();
  signal.addEventListener('abort', close, { once: true });
  server.closed.then(() => signal.removeEventListener('abort', close));
}

function endedError(guestPort: number): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-ended',
    message: `port ${guestPort} cannot be published, since the sandbox has ended`,
    remedy: 'see how it ended (its property exited), and start another one',
  });
}

/**
 * The sockets of a screen in the state directory: `vnc` or `spice` for viewers, and `picture`, where everybody who connects
 * gets a PNG.
 */
import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { messageOf } from '../../util/errors.js';
import { isOfOwner } from '../state/peer.js';
import { screenError } from './errors.js';

export const VNC_SOCKET = 'vnc';
export const SPICE_SOCKET = 'spice';
export const PICTURE_SOCKET = 'picture';

/** Who may be connected for a picture at once: each that does not read has one in this process. */
const MOST_LOOKING = 16;

/** How long one may take to read a picture, in milliseconds. */
const READING_MS = 10_000;

/** Whom a screen serves. */
export interface Served {
  takePicture(): Promise<Buffer>;
  /** By the name of the socket, what takes over a viewer, from whom nothing has been read. Undefined: there is none. */
  readonly viewers: Readonly<Record<string, ((viewer: Socket) => Promise<void>) | undefined>>;
  /** How many viewers may be connected here at once, with those that wait to be handed to another process. */
  readonly mostViewers: number;
}

export class ScreenSockets {
  readonly #servers: Server[] = [];
  /** Of the state directory, whose path may be another's when the sandbox has ended. */
  readonly #directory: number;

  private constructor(stateDirectory: string) {
    this.#directory = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** @throws a system error, see {@link screenUnusable} */
  static async open(stateDirectory: string, { takePicture, viewers, mostViewers }: Served): Promise<ScreenSockets> {
    const sockets = new ScreenSockets(stateDirectory);
    try {
      for (const [name, letIn] of Object.entries(viewers)) if (letIn) await sockets.#listen(name, mostViewers, letIn);
      await sockets.#listen(PICTURE_SOCKET, MOST_LOOKING, async (asking) => show(asking, await takePicture()));
      return sockets;
    } catch (error) {
      sockets.close();
      throw error;
    }
  }

  /** Comes to one of them as others do, and does not keep this process. */
  connect(name: string): Socket {
    return connect(this.#pathOf(name)).unref();
  }

  /** Who is connected stays. */
  close(): void {
    for (const server of this.#servers) server.close();
    closeSync(this.#directory);
  }

  async #listen(name: string, most: number, take: (socket: Socket) => Promise<void>): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      // Whoever asks a sandbox that ends gets nothing.
      void admit(socket, take).catch(() => socket.destroy());
    });
    server.maxConnections = most;
    const path = this.#pathOf(name);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    // A later failure, as to accept, is no reason to end; and nor is it to keep this process.
    server.on('error', () => {}).unref();
    this.#servers.push(server);
    chmodSync(path, 0o600);
  }

  #pathOf(name: string): string {
    return `/proc/self/fd/${this.#directory}/${name}`;
  }
}

export function screenUnusable(stateDirectory: string, cause: unknown) {
  return screenError(
    'screen-unusable',
    `the sockets of the screen cannot be made in ${stateDirectory}: ${messageOf(cause)}`,
    'make room there',
    cause,
  );
}

async function admit(socket: Socket, take: (socket: Socket) => Promise<void>): Promise<void> {
  if (await isOfOwner(socket)) await take(socket);
  else socket.destroy();
}

function show(asking: Socket, picture: Buffer): void {
  asking.setTimeout(READING_MS, () => asking.destroy());
  // Nothing is read from it, so it does not close by itself.
  asking.end(picture, () => asking.destroy());
}

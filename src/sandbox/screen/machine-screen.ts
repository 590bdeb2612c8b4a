/**
 * The screen of a machine that this process holds, and its sockets in the state directory: `vnc` or `spice` for
 * viewers, which QEMU is handed, and `picture`, where everybody who connects gets a PNG.
 */
import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Graphics, ScreenSize } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import { descriptorOf } from '../../libvirt/send-descriptor.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { isOfOwner } from '../state/peer.js';
import type { CompositorWatch } from './compositor-watch.js';
import { screenError } from './errors.js';
import { enterInputs } from './input.js';
import { measureScreen, sizeOfPicture, takePicture } from './picture.js';
import { resizeError, type ScreenResizer } from './resizer.js';
import type { Input, Listening, ScreenPort } from './types.js';
import type { ViewerPort } from './viewer-port.js';

export const VNC_SOCKET = 'vnc';
export const SPICE_SOCKET = 'spice';
export const PICTURE_SOCKET = 'picture';

/** Who may wait for a picture at once. */
const MOST_WAITING = 16;

/** How long one may take to read a picture, in milliseconds. */
const READING_MS = 10_000;

type ViewerProtocol = 'vnc' | 'spice';

/** Until a new size is seen, in milliseconds. */
const SHOWN_MS = 10_000;
const LOOK_MS = 20;

export interface Means extends ShownBy {
  /** Viewers come there as well; undefined: they do not. */
  readonly port: ViewerPort | undefined;
}

/** What shows programs on it. */
export interface ShownBy {
  /** Undefined: the application draws by itself. */
  readonly compositor?: CompositorWatch | undefined;
  /** Undefined: it keeps its size. */
  readonly resizer?: ScreenResizer | undefined;
  /** Why it does. */
  readonly whyFixed?: string | undefined;
}

export class MachineScreen implements ScreenPort {
  readonly vncSocket: string | undefined;
  readonly spiceSocket: string | undefined;
  readonly listening: Listening | undefined;
  readonly #monitor: Monitor;
  readonly #compositor: CompositorWatch | undefined;
  readonly #viewerPort: ViewerPort | undefined;
  readonly #servers: Server[] = [];
  /** Of the state directory, whose path may be another's when the sandbox has ended. */
  readonly #directory: number;
  readonly #resizer: ScreenResizer | undefined;
  readonly #told = new Set<(size: ScreenSize) => void>();
  readonly #whyFixed: string;
  #size: ScreenSize;
  #isClosed = false;
  /** One size after the other. */
  #resizing: Promise<unknown> = Promise.resolve();
  /** One thing of the monitor after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    monitor: Monitor,
    { width, height, viewers }: Graphics,
    stateDirectory: string,
    { compositor, resizer, whyFixed = 'nothing inside changes it', port }: Means,
  ) {
    this.#viewerPort = port;
    this.listening = port?.listening;
    this.#whyFixed = whyFixed;
    this.#compositor = compositor;
    this.spiceSocket = viewers === 'spice' ? join(stateDirectory, SPICE_SOCKET) : undefined;
    this.#resizer = resizer;
    this.#size = { width, height };
    this.vncSocket = viewers === 'vnc' ? join(stateDirectory, VNC_SOCKET) : undefined;
    this.#monitor = monitor;
    this.#directory = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /**
   * @param means the port is closed if this fails
   * @throws {SandboxError} `screen-unusable`
   */
  static async open(
    monitor: Monitor,
    graphics: Graphics,
    stateDirectory: string,
    means: Means,
  ): Promise<MachineScreen> {
    const screen = new MachineScreen(monitor, graphics, stateDirectory, means);
    try {
      await means.port?.serve(monitor, (viewer) => screen.#handOver(viewer, 'vnc', false));
      if (screen.vncSocket !== undefined) await screen.#listen(VNC_SOCKET, (viewer) => screen.#letIn(viewer, 'vnc'));
      if (screen.spiceSocket !== undefined)
        await screen.#listen(SPICE_SOCKET, (viewer) => screen.#letIn(viewer, 'spice'));
      await screen.#listen(PICTURE_SOCKET, (asking) => screen.#show(asking));
      return screen;
    } catch (error) {
      screen.close();
      throw screenError(
        'screen-unusable',
        `the sockets of the screen cannot be made in ${stateDirectory}: ${messageOf(error)}`,
        'make room there',
        error,
      );
    }
  }

  get width(): number {
    return this.#size.width;
  }

  get height(): number {
    return this.#size.height;
  }

  /**
   * Calls `told` with each new size.
   * @returns ends that
   */
  onSize(told: (size: ScreenSize) => void): () => void {
    this.#told.add(told);
    return () => void this.#told.delete(told);
  }

  async takePicture(): Promise<Buffer> {
    const picture = await this.#inTurn(() => takePicture(this.#monitor));
    this.#see(sizeOfPicture(picture));
    return picture;
  }

  /** A pointer moves over what is shown now, whoever has given it its size. */
  async enter(inputs: readonly Input[]): Promise<void> {
    if (inputs.some(({ type }) => type === 'move')) await this.#measure();
    await this.#inTurn(() => enterInputs(this.#monitor, inputs, this, this.#compositor));
  }

  /** @throws {SandboxError} `resize-failed` */
  resize(size: ScreenSize): Promise<void> {
    const result = this.#resizing.then(() => this.#resize(size));
    this.#resizing = result.catch(() => {});
    return result;
  }

  /**
   * Gives it the sizes that viewers ask for, until it is closed.
   * @param onWarning called when it does so no more, and for the first size that it does not get
   */
  async follow(onWarning: ((warning: string) => void) | undefined): Promise<void> {
    let hasWarned = false;
    const why = await this.#resizer?.follow(this.#size, (size) =>
      this.resize(size).catch((error: unknown) => {
        if (!(error instanceof SandboxError)) throw error;
        if (!hasWarned && !this.#isClosed) onWarning?.(`${error.message}; ${error.remedy}`);
        hasWarned = true;
      }),
    );
    if (why !== undefined && !this.#isClosed)
      onWarning?.(`viewers do not change the size of the screen any more: ${why}`);
  }

  async #resize(size: ScreenSize): Promise<void> {
    if (this.#resizer === undefined) throw resizeError(size, this.#whyFixed);
    const { width, height } = await this.#measure();
    if (width === size.width && height === size.height) return;
    await this.#resizer.set(size);
    for (const deadline = performance.now() + SHOWN_MS; ; await delay(LOOK_MS)) {
      const shown = await this.#measure();
      if (shown.width === size.width && shown.height === size.height) return;
      if (performance.now() > deadline) throw resizeError(size, `it shows ${shown.width}x${shown.height}`);
    }
  }

  async #measure(): Promise<ScreenSize> {
    const size = await this.#inTurn(() => measureScreen(this.#monitor));
    this.#see(size);
    return size;
  }

  #see(size: ScreenSize): void {
    if (size.width === this.width && size.height === this.height) return;
    this.#size = size;
    for (const told of this.#told) told(size);
  }

  /** Viewers that are there stay as long as QEMU. */
  close(): void {
    this.#isClosed = true;
    this.#resizer?.close();
    for (const server of this.#servers) server.close();
    this.#viewerPort?.close();
    closeSync(this.#directory);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #listen(name: string, take: (socket: Socket) => Promise<void>): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      // Whoever asks a machine that ends gets nothing.
      void this.#admit(socket, take).catch(() => socket.destroy());
    });
    server.maxConnections = MOST_WAITING;
    const path = `/proc/self/fd/${this.#directory}/${name}`;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    // A later failure, as to accept, is no reason to end; and nor is it to keep this process.
    server.on('error', () => {}).unref();
    this.#servers.push(server);
    chmodSync(path, 0o600);
  }

  async #admit(socket: Socket, take: (socket: Socket) => Promise<void>): Promise<void> {
    if (await isOfOwner(socket)) await take(socket);
    else socket.destroy();
  }

  /** Nothing is read from it here: the viewer talks to QEMU alone. */
  async #letIn(viewer: Socket, protocol: ViewerProtocol): Promise<void> {
    await this.#handOver(viewer, protocol, true);
    viewer.destroy();
  }

  /** @param isKnown no password is asked for */
  #handOver(viewer: Socket, protocol: ViewerProtocol, isKnown: boolean): Promise<void> {
    const name = 'viewer';
    return this.#inTurn(async () => {
      // It may have gone while others had their turn.
      if (viewer.destroyed) return;
      await this.#monitor.executeWith(descriptorOf(viewer), 'getfd', { fdname: name });
      await this.#monitor.execute('add_client', { protocol, fdname: name, skipauth: isKnown });
    });
  }

  async #show(asking: Socket): Promise<void> {
    const picture = await this.takePicture();
    asking.setTimeout(READING_MS, () => asking.destroy());
    // Nothing is read from it, so it does not close by itself.
    asking.end(picture, () => asking.destroy());
  }
}

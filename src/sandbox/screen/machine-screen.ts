/**
 * The screen of a machine that this process holds. QEMU is handed its viewers, draws its pictures and takes its input.
 */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Graphics, ScreenSize } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import { descriptorOf } from '../../libvirt/send-descriptor.js';
import type { Channel } from '../../protocol/channel.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import type { ClipboardOptions, ScreenClipboard } from './clipboard.js';
import type { CompositorWatch } from './compositor-watch.js';
import { enterInputs } from './input.js';
import { measureScreen, sizeOfPicture, takePicture } from './picture.js';
import { resizeError, type ScreenResizer } from './resizer.js';
import { ScreenSockets, SPICE_SOCKET, screenUnusable, VNC_SOCKET } from './screen-sockets.js';
import { SeenSize } from './seen-size.js';
import { Turns } from './turns.js';
import type { HeldScreen, Input, Listening } from './types.js';
import type { ViewerPort } from './viewer-port.js';

type ViewerProtocol = 'vnc' | 'spice';

/** Who may wait at a socket to be handed to QEMU, which takes each some milliseconds: a crowd must not shut others out. */
const MOST_WAITING = 256;
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

export class MachineScreen implements HeldScreen {
  readonly vncSocket: string | undefined;
  readonly spiceSocket: string | undefined;
  readonly listening: Listening | undefined;
  readonly #monitor: Monitor;
  readonly #compositor: CompositorWatch | undefined;
  readonly #viewerPort: ViewerPort | undefined;
  #clipboard: ScreenClipboard | undefined;
  readonly #resizer: ScreenResizer | undefined;
  readonly #whyFixed: string;
  readonly #size: SeenSize;
  #isClosed = false;
  /** Of sizes. */
  readonly #resizing = new Turns();
  /** Of what the monitor is asked. */
  readonly #turns = new Turns();
  #sockets: ScreenSockets | undefined;

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
    this.#size = new SeenSize({ width, height });
    this.vncSocket = viewers === 'vnc' ? join(stateDirectory, VNC_SOCKET) : undefined;
    this.#monitor = monitor;
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
      screen.#sockets = await ScreenSockets.open(stateDirectory, {
        takePicture: () => screen.takePicture(),
        viewers: {
          [VNC_SOCKET]: graphics.viewers === 'vnc' ? (viewer) => screen.#letIn(viewer, 'vnc') : undefined,
          [SPICE_SOCKET]: graphics.viewers === 'spice' ? (viewer) => screen.#letIn(viewer, 'spice') : undefined,
        },
        mostViewers: MOST_WAITING,
      });
      return screen;
    } catch (error) {
      screen.close();
      throw screenUnusable(stateDirectory, error);
    }
  }

  /**
   * From now on texts pass between viewers and the guest.
   * @param tool path inside of what reads and writes the clipboard
   * @throws {SandboxError} `clipboard-unusable`
   */
  async carryClipboard(
    channel: Channel,
    guest: GuestConfig,
    tool: string,
    { ways, onWarning }: Pick<ClipboardOptions, 'ways' | 'onWarning'>,
  ): Promise<void> {
    const { GuestClipboard } = await import('./guest-clipboard.js');
    const { ScreenClipboard } = await import('./clipboard.js');
    let isTold = false;
    const onTrouble = (why: string) => {
      if (!isTold) onWarning?.(`what viewers copy does not get into the guest: ${oneLine(why)}`);
      isTold = true;
    };
    const inside = new GuestClipboard(channel, guest, tool, onTrouble);
    // As a viewer does.
    const socket = this.#sockets?.connect(VNC_SOCKET);
    if (socket === undefined) return;
    this.#clipboard = await ScreenClipboard.open(socket, { ways, guest: inside, monitor: this.#monitor, onWarning });
  }

  get width(): number {
    return this.#size.width;
  }

  get height(): number {
    return this.#size.height;
  }

  onSize(told: (size: ScreenSize) => void): () => void {
    return this.#size.onChange(told);
  }

  async takePicture(): Promise<Buffer> {
    const picture = await this.#turns.take(() => takePicture(this.#monitor));
    this.#size.see(sizeOfPicture(picture));
    return picture;
  }

  /** A pointer moves over what is shown now, whoever has given it its size. */
  async enter(inputs: readonly Input[]): Promise<void> {
    if (inputs.some(({ type }) => type === 'move')) await this.#measure();
    await this.#turns.take(() => enterInputs(this.#monitor, inputs, this, this.#compositor));
  }

  /** @throws {SandboxError} `resize-failed` */
  resize(size: ScreenSize): Promise<void> {
    return this.#resizing.take(() => this.#resize(size));
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
    const size = await this.#turns.take(() => measureScreen(this.#monitor));
    this.#size.see(size);
    return size;
  }

  /** Viewers that are there stay as long as QEMU. */
  close(): void {
    this.#isClosed = true;
    this.#clipboard?.close();
    this.#resizer?.close();
    this.#sockets?.close();
    this.#viewerPort?.close();
  }

  /** Nothing is read from it here: the viewer talks to QEMU alone. */
  async #letIn(viewer: Socket, protocol: ViewerProtocol): Promise<void> {
    await this.#handOver(viewer, protocol, true);
    viewer.destroy();
  }

  /** @param isKnown no password is asked for */
  async #handOver(viewer: Socket, protocol: ViewerProtocol, isKnown: boolean): Promise<void> {
    const name = 'viewer';
    await this.#turns.take(async () => {
      // It may have gone while others had their turn.
      if (viewer.destroyed) return;
      await this.#monitor.executeWith(descriptorOf(viewer), 'getfd', { fdname: name });
      await this.#monitor.execute('add_client', { protocol, fdname: name, skipauth: isKnown });
    });
    this.#clipboard?.viewerCame();
  }
}

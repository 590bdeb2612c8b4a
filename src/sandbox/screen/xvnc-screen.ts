/**
 * A screen that a VNC server inside draws: of a container, or of a machine without a card. All that the server says may be
 * what a program of the guest has made up. Viewers are carried to it, each by a program of the init, and so is the launcher,
 * which takes pictures and types as a viewer of its own.
 */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GuestConfig } from '../../../init/common/config.js';
import { XVNC_SOCKET } from '../../../init/common/screen/xvnc.js';
import type { Graphics, ScreenSize } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { RfbClient } from '../../rfb/client.js';
import { ClientMessages } from '../../rfb/client-messages.js';
import { RfbError } from '../../rfb/connection.js';
import { messageOf, oneLine } from '../../util/errors.js';
import { type Builtin, BuiltinError, startBuiltin } from '../process/builtin.js';
import { screenError } from './errors.js';
import { keysymsOf } from './keysyms.js';
import { pngOf } from './png.js';
import { resizeError } from './resizer.js';
import { ScreenSockets, screenUnusable, VNC_SOCKET } from './screen-sockets.js';
import { SeenSize } from './seen-size.js';
import { Turns } from './turns.js';
import { BUTTONS, type HeldScreen, type Input } from './types.js';

/** For each thing that the server is asked for, however it dawdles. In milliseconds. */
const PATIENCE_MS = 30_000;
/** Each has a stream of the channel as long as it stays. */
const MOST_VIEWERS = 16;

export const WHY_FIXED = 'Xtigervnc takes another one only of a program inside';

export class XvncScreen implements HeldScreen {
  readonly vncSocket: string;
  readonly spiceSocket = undefined;
  readonly listening = undefined;
  readonly #size: SeenSize;
  readonly #connect: (signal?: AbortSignal) => Promise<Builtin>;
  readonly #turns = new Turns();
  readonly #viewers = new Set<Socket>();
  #sockets: ScreenSockets | undefined;
  /** Stays connected: a server lets go of keys and buttons whose viewer leaves. */
  #client: RfbClient | undefined;
  #pointer = { x: 0, y: 0, buttons: 0 };

  private constructor(channel: Channel, guest: GuestConfig, { width, height }: Graphics, stateDirectory: string) {
    this.#size = new SeenSize({ width, height });
    this.vncSocket = join(stateDirectory, VNC_SOCKET);
    this.#connect = (signal) =>
      startBuiltin(channel, { ...guest, cwd: '/' }, ['connect', XVNC_SOCKET], 'the VNC server', { signal });
  }

  /** @throws {SandboxError} `screen-unusable` */
  static async open(
    channel: Channel,
    guest: GuestConfig,
    graphics: Graphics,
    stateDirectory: string,
  ): Promise<XvncScreen> {
    const screen = new XvncScreen(channel, guest, graphics, stateDirectory);
    try {
      screen.#sockets = await ScreenSockets.open(stateDirectory, {
        takePicture: () => screen.takePicture(),
        viewers: { [VNC_SOCKET]: (viewer) => screen.#carry(viewer) },
        mostViewers: MOST_VIEWERS,
      });
      return screen;
    } catch (error) {
      throw screenUnusable(stateDirectory, error);
    }
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

  takePicture(): Promise<Buffer> {
    return this.#ask('screenshot-failed', 'there is no picture of the screen', async (client) =>
      pngOf(await client.picture()),
    );
  }

  enter(inputs: readonly Input[]): Promise<void> {
    return this.#ask('input-failed', 'the screen takes no input', async (client) => {
      for (const input of inputs) await this.#enter(client, input);
      await client.settled();
    });
  }

  /** @throws {SandboxError} `resize-failed` */
  async resize(size: ScreenSize): Promise<void> {
    throw resizeError(size, WHY_FIXED);
  }

  close(): void {
    this.#sockets?.close();
    this.#client?.close();
    for (const viewer of this.#viewers) viewer.destroy();
  }

  async #enter(client: RfbClient, input: Input): Promise<void> {
    if (input.type === 'keys') {
      const keysyms = keysymsOf(input.keys);
      for (const keysym of keysyms) await client.key(keysym, true);
      for (const keysym of [...keysyms].reverse()) await client.key(keysym, false);
      return;
    }
    this.#pointer = pointerAfter(this.#pointer, input);
    await client.pointer(this.#pointer.x, this.#pointer.y, this.#pointer.buttons);
  }

  /** @throws {SandboxError} `code`, and `process-lost` if the sandbox has ended */
  #ask<T>(code: string, what: string, work: (client: RfbClient) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      try {
        return await this.#within(work);
      } catch (error) {
        if (!(error instanceof RfbError) && !(error instanceof BuiltinError)) throw error;
        const remedy = 'see that nothing inside has ended Xtigervnc, or taken its place';
        throw screenError(code, `${what}: ${oneLine(messageOf(error))}`, remedy, error);
      }
    });
  }

  /** @throws {RfbError} if it takes too long, too */
  async #within<T>(work: (client: RfbClient) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new RfbError('timeout', `the VNC server takes more than ${PATIENCE_MS} ms`));
      this.#client?.close();
    }, PATIENCE_MS);
    try {
      if (this.#client?.isOver !== false) {
        this.#client = await RfbClient.open(streamOf(await this.#connect(late.signal)));
        // What was down is not, since its viewer has gone.
        this.#pointer = { ...this.#pointer, buttons: 0 };
      }
      const result = await work(this.#client);
      // A program inside may have changed it.
      this.#size.see(this.#client);
      return result;
    } catch (error) {
      // Where it stands in what the server says is not known.
      this.#client?.close();
      throw late.signal.aborted ? late.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Until either has ended. Neither side is read faster than the other one takes it. */
  async #carry(viewer: Socket): Promise<void> {
    this.#viewers.add(viewer);
    viewer.once('close', () => this.#viewers.delete(viewer));
    const builtin = await this.#connect();
    const carried = [
      pipeline(viewer, new ClientMessages({ clipboard: false, mayExclude: true }), builtin.stdin),
      pipeline(builtin.stdout, viewer),
    ];
    try {
      await Promise.race(carried);
    } finally {
      void builtin.kill();
      viewer.destroy();
      await Promise.allSettled(carried);
    }
  }
}

/** It ends with the stream. */
function streamOf(builtin: Builtin): Duplex {
  const stream = Duplex.from({ readable: builtin.stdout, writable: builtin.stdin });
  stream.once('close', () => void builtin.kill());
  return stream;
}

function pointerAfter(
  { x, y, buttons }: { readonly x: number; readonly y: number; readonly buttons: number },
  input: Exclude<Input, { readonly type: 'keys' }>,
): { x: number; y: number; buttons: number } {
  if (input.type === 'move') return { x: Math.floor(input.x), y: Math.floor(input.y), buttons };
  // The bits of VNC are in the same order.
  const bit = 1 << BUTTONS.indexOf(input.button);
  return { x, y, buttons: input.down ? buttons | bit : buttons & ~bit };
}

/** Gives the screen of a sandbox another size, when somebody asks for one: a viewer, or a program. */
import { setTimeout as delay } from 'node:timers/promises';
import type { GuestConfig, GuestDisplay } from '../../../init/common/config.js';
import type { ScreenSize } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { messageOf, oneLine, SandboxError } from '../../util/errors.js';
import { abortedWithin } from '../../util/promises.js';
import { RecordParser } from '../files/record-parser.js';
import { type BuiltinOptions, startBuiltin } from '../process/builtin.js';
import { talkTo } from './display-peer.js';
import { wantedSize } from './edid.js';
import { screenError } from './errors.js';
import { resizeWayland } from './resize-wayland.js';
import { resizeX11 } from './resize-x11.js';

/** How long what shows programs may take, in milliseconds. */
const PATIENCE_MS = 20_000;

/** Between two sizes that viewers ask for, in milliseconds: one that drags its window asks for many. */
const PAUSE_MS = 100;

/** QEMU's VNC server has pictures of a width of so many pixels, and pointers go wrong over others. */
const VNC_STEP = 16;

/** It shows no more lines. */
const VNC_LINES = 2160;

/** A record of `watch-screen` begins with the size of its content. */
const CONTENT = 4;

export class ScreenResizer {
  readonly #channel: Channel;
  readonly #guest: GuestConfig;
  readonly #display: GuestDisplay;
  readonly #end = new AbortController();

  constructor(channel: Channel, guest: GuestConfig, display: GuestDisplay) {
    this.#channel = channel;
    this.#guest = guest;
    this.#display = display;
  }

  /**
   * Calls `change` with each size that viewers ask for and can be shown, one after the other; of those that come meanwhile
   * with the last.
   * @param size that it has from the start
   * @returns why it has ended; undefined: with the sandbox
   */
  async follow(size: ScreenSize, change: (size: ScreenSize) => Promise<void>): Promise<string | undefined> {
    try {
      const argv = ['watch-screen', this.#display.edid];
      const builtin = await this.#start(argv, { signal: this.#end.signal });
      try {
        await this.#take(builtin.stdout as AsyncIterable<Buffer>, size, change);
        await builtin.ended;
        return 'it ended';
      } finally {
        void builtin.kill();
      }
    } catch (error) {
      const isOver = this.#end.signal.aborted || (error instanceof SandboxError && error.code === 'process-lost');
      return isOver ? undefined : oneLine(messageOf(error));
    }
  }

  async #take(records: AsyncIterable<Buffer>, size: ScreenSize, change: (size: ScreenSize) => Promise<void>) {
    const parser = new RecordParser();
    let last = size;
    for await (const piece of records) {
      const record = parser.push(piece).at(-1);
      const wanted = record && wantedSize(record.subarray(CONTENT));
      if (wanted === undefined || (wanted.width === last.width && wanted.height === last.height)) continue;
      last = wanted;
      if (wanted.height > VNC_LINES) continue;
      await change({ width: wanted.width - (wanted.width % VNC_STEP), height: wanted.height });
      await delay(PAUSE_MS, undefined, { signal: this.#end.signal });
    }
  }

  /** @throws {SandboxError} `resize-failed` */
  async set(size: ScreenSize): Promise<void> {
    const { compositor, socket } = this.#display;
    const signal = abortedWithin(PATIENCE_MS, this.#end.signal);
    try {
      const connection = await this.#start(['connect', socket], { signal });
      await talkTo(connection, (peer) => (compositor === 'xorg' ? resizeX11(peer, size) : resizeWayland(peer, size)));
    } catch (error) {
      const why = signal.aborted ? 'it does not answer' : oneLine(messageOf(error));
      throw resizeError(size, `${compositor} does not give it that size: ${why}`, error);
    }
  }

  close(): void {
    this.#end.abort();
  }

  #start(argv: readonly string[], options: BuiltinOptions) {
    return startBuiltin(this.#channel, this.#guest, argv, 'the size of the screen', options);
  }
}

export function resizeError({ width, height }: ScreenSize, why: string, cause?: unknown): SandboxError {
  return screenError(
    'resize-failed',
    `the screen cannot get the size ${width}x${height}: ${why}`,
    'see that what shows programs still runs, or start the sandbox with that size',
    cause,
  );
}

/**
 * Carries texts between viewers of VNC and the programs on the screen. QEMU's VNC server hands texts of one client to the
 * others, so the launcher is a client: without its hand nothing gets into the guest, or out. Texts are never logged.
 */
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clipboard as Ways } from '../../config/types.js';
import { type Monitor, MonitorError } from '../../libvirt/monitor.js';
import { ClipboardClient } from '../../rfb/clipboard-client.js';
import { RfbError } from '../../rfb/connection.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { isRecord } from '../../util/records.js';
import { screenError } from './errors.js';
import type { GuestClipboard } from './guest-clipboard.js';

/** How often it is looked whether a program inside has copied something, in milliseconds. */
const LOOK_MS = 1000;

export interface ClipboardOptions {
  readonly ways: Exclude<Ways, 'none'>;
  readonly guest: GuestClipboard;
  /** Tells how many clients there are. It has no event for those of a server that listens nowhere. */
  readonly monitor: Monitor;
  readonly onWarning: ((sentence: string) => void) | undefined;
}

export class ScreenClipboard {
  readonly #guest: GuestClipboard;
  readonly #monitor: Monitor;
  readonly #client: ClipboardClient;
  readonly #isBoth: boolean;
  /** The text that passed last; undefined: another one is inside. */
  #passed: string | undefined;
  /** It came from inside. */
  #isOfGuest = false;
  #isLooking = false;
  /** A viewer came, maybe when the clients had just been counted. */
  #hasNew = false;
  #isClosed = false;

  private constructor(client: ClipboardClient, { ways, guest, monitor, onWarning }: ClipboardOptions) {
    this.#client = client;
    this.#guest = guest;
    this.#monitor = monitor;
    this.#isBoth = ways === 'both';
    // One may have come before.
    if (this.#isBoth) void this.#look();
    void client.ended.then(async (error) => {
      // With QEMU all ends.
      if (!this.#isClosed && (await this.#answers()))
        onWarning?.(`the clipboard is no longer carried: ${oneLine(error.message)}`);
      this.close();
    });
  }

  /**
   * @param socket a connection to QEMU's VNC server
   * @throws {SandboxError} `clipboard-unusable`
   */
  static async open(socket: Socket, options: ClipboardOptions): Promise<ScreenClipboard> {
    let clipboard: ScreenClipboard | undefined;
    try {
      const client = await ClipboardClient.open(socket, (text) => {
        if (clipboard !== undefined) clipboard.#put(text);
      });
      clipboard = new ScreenClipboard(client, options);
      return clipboard;
    } catch (error) {
      if (!(error instanceof RfbError)) throw error;
      throw screenError(
        'clipboard-unusable',
        `the clipboard of QEMU cannot be used: ${oneLine(error.message)}`,
        'use QEMU 6.1 or later',
        error,
      );
    }
  }

  /** Call it when there is another viewer. */
  viewerCame(): void {
    this.#hasNew = true;
    if (this.#isBoth) void this.#look();
  }

  close(): void {
    this.#isClosed = true;
    this.#client.close();
  }

  /** A text that came from inside comes back when a viewer hands it to another one by the clipboard of its desktop. */
  #put(text: string): void {
    if (this.#isOfGuest && text === this.#passed) return;
    this.#passed = text;
    this.#isOfGuest = false;
    this.#guest.put(text);
  }

  /** While nobody would get what is copied inside, nobody looks for it. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (!this.#isClosed && ((await this.#clients()) > 1 || this.#hasNew)) {
      this.#hasNew = false;
      await this.#offerNew().catch((error: unknown) => {
        // The sandbox ends, or its guest starts nothing just now; or the connection has ended, which is told.
        if (!(error instanceof SandboxError) && !(error instanceof RfbError)) throw error;
      });
      await delay(LOOK_MS, undefined, { ref: false });
    }
    this.#isLooking = false;
  }

  async #clients(): Promise<number> {
    const servers = await this.#monitor.execute('query-vnc-servers').catch((error: unknown) => {
      if (!(error instanceof MonitorError)) throw error;
    });
    const [server] = Array.isArray(servers) ? (servers as unknown[]) : [];
    const clients = isRecord(server) ? server['clients'] : undefined;
    return Array.isArray(clients) ? clients.length : 0;
  }

  async #answers(): Promise<boolean> {
    return this.#monitor.execute('query-status').then(
      () => true,
      () => false,
    );
  }

  async #offerNew(): Promise<void> {
    const found = await this.#guest.look();
    if (found === undefined) return;
    const text = found.text && harmless(found.text);
    if (text !== undefined && text === this.#passed) return;
    this.#passed = text;
    this.#isOfGuest = true;
    if (text) await this.#client.offer(text);
  }
}

/** What a terminal of the host would take for more than text: control characters other than tab and the end of a line. */
function harmless(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => (character === '\n' || character === '\t' ? character : ''));
}

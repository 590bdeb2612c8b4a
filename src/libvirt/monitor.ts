/**
 * A second QEMU monitor, on a socket of the launcher, besides libvirt's. It is for commands that libvirt does not
 * offer, or not through the embedded driver.
 *
 * https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
import type { Socket } from 'node:net';
import { messageOf } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { isRecord, parseJson } from '../util/records.js';
import { descriptorSender } from './send-descriptor.js';

type Arguments = Readonly<Record<string, unknown>>;

/** An event that QEMU reported. */
export interface MonitorEvent {
  readonly name: string;
  readonly data: Arguments;
}

/** Most characters of one message. The longest that the launcher asks for has a few hundred. */
export const MESSAGE_CHARACTERS = 1 << 20;

/** QEMU refused a command, has ended, or does not speak its protocol any more. */
export class MonitorError extends Error {}

/** QEMU refused a command, with this message. */
export class MonitorRefusal extends MonitorError {}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Monitor {
  readonly #socket: Socket;
  readonly #pending: Pending[] = [];
  readonly #listeners = new Set<(event: MonitorEvent) => void>();
  /** Resolves when QEMU has created the machine and answers. */
  readonly answered: Promise<void>;
  readonly #gone: Promise<never>;
  /** Ends all that waits for QEMU. Only the first reason counts. */
  #fail: (reason: string) => void = () => {};
  #text = '';
  #failure: MonitorError | undefined;

  /** Commands may be sent at once, without waiting for QEMU's greeting: QEMU takes them in order. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.#gone = new Promise((_resolve, reject) => {
      this.#fail = (reason) => {
        this.#failure ??= new MonitorError(reason);
        for (const { reject: refuse } of this.#pending.splice(0)) refuse(this.#failure);
        reject(this.#failure);
      };
      socket.on('error', (error) => this.#fail(`QEMU's monitor broke: ${error.message}`));
      socket.on('close', () => this.#fail('QEMU has ended'));
    });
    this.#gone.catch(() => {});
    socket.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    this.answered = this.execute('qmp_capabilities').then(() => mark('monitor.answered'));
    this.answered.catch(() => {});
  }

  /**
   * Executes a command. Resolves to what it returns.
   *
   * @throws {MonitorError}
   */
  execute(command: string, parameters: Arguments = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#pending.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    });
  }

  /**
   * Executes a command that takes a descriptor along. It stays the caller's.
   *
   * @throws {MonitorError}
   */
  async executeWith(descriptor: number, command: string, parameters: Arguments = {}): Promise<unknown> {
    const send = await descriptorSender();
    // It must not come before what this process has written, of which the socket may hold a part.
    do await this.#written();
    while (this.#socket.writableLength > 0);
    if (this.#failure) throw this.#failure;
    const answer = new Promise((resolve, reject) => this.#pending.push({ resolve, reject }));
    try {
      send(this.#socket, `${JSON.stringify({ execute: command, arguments: parameters })}\n`, descriptor);
    } catch (error) {
      this.#fail(messageOf(error));
    }
    return answer;
  }

  /** Resolves when the kernel has what was written, or QEMU is gone. */
  #written(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.write('', () => resolve());
    });
  }

  /**
   * Waits for the next event that `wanted` accepts. Earlier events do not count.
   *
   * @throws {MonitorError} when QEMU ends first
   */
  async next(wanted: (event: MonitorEvent) => boolean): Promise<MonitorEvent> {
    let listener: (event: MonitorEvent) => void = () => {};
    const found = new Promise<MonitorEvent>((resolve) => {
      listener = (event) => {
        if (wanted(event)) resolve(event);
      };
      this.#listeners.add(listener);
    });
    try {
      return await Promise.race([found, this.#gone]);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /**
   * Listens to all events from now on.
   * @returns ends it
   */
  listen(listener: (event: MonitorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    const lines = (this.#text + text).split('\n');
    this.#text = lines.pop() ?? '';
    if ([this.#text, ...lines].some(({ length }) => length > MESSAGE_CHARACTERS)) {
      this.#giveUp(`a message of more than ${MESSAGE_CHARACTERS} characters`);
      return;
    }
    for (const line of lines) {
      const message = line.trim() === '' ? {} : parseJson(line);
      if (message === undefined) {
        this.#giveUp('a message that is not JSON');
        return;
      }
      this.#line(message);
    }
  }

  #giveUp(what: string): void {
    this.#text = '';
    this.#fail(`QEMU's monitor sent ${what}`);
    this.close();
  }

  #line(message: unknown): void {
    if (!isRecord(message)) return;
    const { event, data, error, timestamp } = message;
    if (typeof event === 'string') {
      mark('monitor.event', { event, data, timestamp });
      for (const listener of [...this.#listeners]) listener({ name: event, data: isRecord(data) ? data : {} });
    } else if ('return' in message) {
      this.#pending.shift()?.resolve(message['return']);
    } else if (isRecord(error)) {
      this.#pending.shift()?.reject(new MonitorRefusal(String(error['desc'])));
    }
  }
}

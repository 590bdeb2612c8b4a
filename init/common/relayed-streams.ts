/** Streams of processes between the native init and the launcher, for a common init in the guest. */
import type { Channel } from '../../src/protocol/channel.js';
import { FieldWriter } from '../../src/protocol/fields.js';
import type { OutputProc } from '../../src/protocol/packets.js';
import type { Relay } from '../../src/protocol/relay.js';
import { MessageType, Proc } from '../../src/protocol/wire.js';

type ToLauncher = (proc: number, type: number, process: number, payload: Uint8Array) => void;

/**
 * Passes the streams of processes on to the launcher, which grants the native init its windows. When the launcher is
 * gone it does so itself, or every process would wait.
 */
export class RelayedStreams implements Relay {
  /** Processes that the launcher knows of, and what waits until it knows of others. */
  readonly #known = new Set<number>();
  readonly #waiting = new Map<number, (() => void)[]>();
  /** Bytes that the launcher has not acknowledged, by stream. */
  readonly #outstanding = new Map<string, { proc: OutputProc; process: number; bytes: number }>();
  /** Set when the launcher is gone. */
  #channel: Channel | undefined;
  readonly #toLauncher: ToLauncher;

  /** @param toLauncher writes a packet, in the order of calls */
  constructor(toLauncher: ToLauncher) {
    this.#toLauncher = toLauncher;
  }

  /** The launcher was told the number of a process that was started for it. */
  announce(process: number): void {
    this.#known.add(process);
    for (const send of this.#waiting.get(process) ?? []) send();
    this.#waiting.delete(process);
  }

  output(proc: OutputProc, process: number, bytes: Buffer): void {
    if (this.#channel) {
      this.#acknowledge(this.#channel, proc, process, bytes.length);
      return;
    }
    this.#count(proc, process, bytes.length);
    this.#whenKnown(process, () => this.#toLauncher(proc, MessageType.DATA, process, bytes));
  }

  stdinTaken(process: number, payload: Buffer): void {
    this.#whenKnown(process, () => this.#toLauncher(Proc.STDIN, MessageType.REPLY, process, payload));
  }

  exit(process: number, payload: Buffer): void {
    this.#whenKnown(process, () => {
      this.#known.delete(process);
      for (const proc of [Proc.STDOUT, Proc.STDERR]) this.#outstanding.delete(`${proc} ${process}`);
      this.#toLauncher(Proc.EXIT, MessageType.MESSAGE, process, payload);
    });
  }

  /** The launcher has taken output. */
  taken(proc: OutputProc, process: number, bytes: number): void {
    // Of one that has ended there is nothing to count.
    if (this.#known.has(process)) this.#count(proc, process, -bytes);
  }

  /** The launcher is gone: from now on output is dropped. */
  abandon(channel: Channel): void {
    this.#channel = channel;
    for (const { proc, process, bytes } of this.#outstanding.values()) this.#acknowledge(channel, proc, process, bytes);
    this.#outstanding.clear();
  }

  #whenKnown(process: number, send: () => void): void {
    if (this.#known.has(process)) send();
    else this.#waiting.set(process, [...(this.#waiting.get(process) ?? []), send]);
  }

  #count(proc: OutputProc, process: number, bytes: number): void {
    const key = `${proc} ${process}`;
    const before = this.#outstanding.get(key)?.bytes ?? 0;
    this.#outstanding.set(key, { proc, process, bytes: before + bytes });
  }

  #acknowledge(channel: Channel, proc: OutputProc, process: number, bytes: number): void {
    if (bytes > 0) channel.forwardStream(proc, MessageType.REPLY, process, new FieldWriter().u32(bytes).finish());
  }
}

/** A process in the guest: its streams, and how it ends. */
import type { Readable, Writable } from 'node:stream';
import { deferred } from '../util/promises.js';
import type { GuestExit } from './exit.js';
import { OutputStream } from './output.js';
import type { OutputProc } from './packets.js';
import { thereAlready } from './process-table.js';
import { StdinSender } from './stdin.js';
import { Proc } from './wire.js';

/** Sends to the guest what is about one process. */
export interface ProcessPort {
  data(process: number, bytes: Uint8Array): void;
  acknowledge(proc: OutputProc, process: number, bytes: number): void;
}

/**
 * A `ProcessParty` of its channel. It does not say `implements`, since the package's types leave out what is internal.
 */
export class GuestProcess {
  /** How it ended. Rejects if the connection, or the sandbox, ends first. */
  readonly exited: Promise<GuestExit>;
  readonly #exit = deferred<GuestExit>();
  readonly #port: ProcessPort;
  readonly #stdin = new StdinSender();
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  #number = 0;

  constructor(port: ProcessPort) {
    this.#port = port;
    const output = (proc: OutputProc) => new OutputStream((bytes) => this.#port.acknowledge(proc, this.#number, bytes));
    this.#stdout = output(Proc.STDOUT);
    this.#stderr = output(Proc.STDERR);
    this.exited = this.#exit.promise;
    // Callers may ignore it.
    this.exited.catch(() => {});
  }

  /** The guest's number for it; 0 before it has started. */
  get number(): number {
    return this.#number;
  }

  /** What is written before the process has started waits until then. */
  get stdin(): Writable {
    return this.#stdin.stream;
  }

  /** With a terminal, all output comes here and `stderr` stays empty. */
  get stdout(): Readable {
    return this.#stdout.readable;
  }

  get stderr(): Readable {
    return this.#stderr.readable;
  }

  /** @internal @throws {ProtocolError} if the guest had it started already */
  started(number: number): void {
    if (this.#number !== 0) throw thereAlready(number);
    this.#number = number;
    this.#stdin.start((bytes) => this.#port.data(number, bytes));
  }

  /** @internal There is no such process: its output has ended, and what is written to it goes nowhere. */
  isNone(): void {
    this.#endOutput();
    this.#stdin.discard();
  }

  /** @internal @throws {ProtocolError} as {@link OutputStream.write} */
  output(proc: OutputProc, bytes: Buffer): void {
    this.#stream(proc).write(bytes);
  }

  /** @internal */
  outputEnd(proc: OutputProc): void {
    this.#stream(proc).end();
  }

  /** @internal @throws {ProtocolError} as {@link StdinSender.acknowledge} */
  stdinTaken(bytes: number): void {
    this.#stdin.acknowledge(bytes);
  }

  /** @internal */
  ended(exit: GuestExit): void {
    this.#endOutput();
    this.#stdin.discard();
    this.#exit.resolve(exit);
  }

  /** @internal The connection is gone, or the sandbox has ended. */
  lost(error: Error): void {
    this.#exit.reject(error);
    this.#endOutput();
    this.#stdin.fail(error);
  }

  #stream(proc: OutputProc): OutputStream {
    return proc === Proc.STDOUT ? this.#stdout : this.#stderr;
  }

  #endOutput(): void {
    this.#stdout.end();
    this.#stderr.end();
  }
}

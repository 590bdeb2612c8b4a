/** A process in the guest that another host has started: what passes its packets on, and keeps both to their windows. */
import type { Channel } from '../protocol/channel.js';
import { encodeExit, type GuestExit } from '../protocol/exit.js';
import { FieldWriter, ProtocolError } from '../protocol/fields.js';
import { OperationError } from '../protocol/operations.js';
import type { OutputProc } from '../protocol/packets.js';
import type { ForeignProcess, RawReply } from '../protocol/relay.js';
import { MessageType, OUTPUT_WINDOW_BYTES, Proc, STDIN_WINDOW_BYTES } from '../protocol/wire.js';
import { SandboxError } from '../util/errors.js';

const OUTPUTS = [Proc.STDOUT, Proc.STDERR] as const;

const SIGHUP = 1;
const SIGKILL = 9;

/** How long a process may take to end when its host has left, in milliseconds. */
const LEFT_MS = 2000;

/** The host that has started it. */
export interface ProcessHost {
  send(proc: number, type: number, process: number, payload: Uint8Array): void;
  answered(reply: RawReply): void;
  /** It runs, and can be named. */
  started(process: ServedProcess): void;
  ended(process: ServedProcess): void;
}

/** Who is told of a process, whatever becomes of its host. */
export interface ProcessWatch {
  started(number: number): void;
  ended(exit: GuestExit): void;
  /**
   * Gets what the process writes, in place of its host. The process writes on when it is taken. Undefined: its host gets
   * it.
   */
  readonly output?: (proc: OutputProc, bytes: Buffer) => Promise<void>;
}

export interface ServedProcessOptions {
  readonly channel: Channel;
  readonly host: ProcessHost;
  /** It lives on when its host has left. */
  readonly keep: boolean;
  readonly watch?: ProcessWatch | undefined;
}

export class ServedProcess implements ForeignProcess {
  readonly #channel: Channel;
  readonly #keep: boolean;
  readonly #watch: ProcessWatch | undefined;
  /** Undefined: it has left. */
  #host: ProcessHost | undefined;
  #number = 0;
  /** Bytes that the guest may not send again before its host has taken them. */
  readonly #outstanding: Record<OutputProc, number> = { [Proc.STDOUT]: 0, [Proc.STDERR]: 0 };
  readonly #ended = new Set<OutputProc>();
  /** Bytes of stdin that the guest has not taken. */
  #untaken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ channel, host, keep, watch }: ServedProcessOptions) {
    this.#channel = channel;
    this.#host = host;
    this.#keep = keep;
    this.#watch = watch;
  }

  get number(): number {
    return this.#number;
  }

  answered(reply: RawReply): void {
    this.#host?.answered(reply);
  }

  started(number: number): void {
    this.#number = number;
    this.#watch?.started(number);
    if (this.#host) this.#host.started(this);
    else this.#endForLeft();
  }

  output(proc: OutputProc, bytes: Buffer): void {
    if (this.#ended.has(proc)) throw new ProtocolError('the guest sent output behind its end');
    this.#outstanding[proc] += bytes.length;
    if (this.#outstanding[proc] > OUTPUT_WINDOW_BYTES)
      throw new ProtocolError('the guest sent more output than it may');
    const { output } = this.#watch ?? {};
    if (output) void output(proc, bytes).then(() => this.#acknowledge(proc, bytes.length));
    else if (this.#host) this.#host.send(proc, MessageType.DATA, this.#number, bytes);
    else this.#acknowledge(proc, bytes.length);
  }

  outputEnd(proc: OutputProc): void {
    this.#ended.add(proc);
    this.#host?.send(proc, MessageType.DATA, this.#number, new Uint8Array());
  }

  stdinTaken(bytes: number): void {
    if (bytes > this.#untaken) throw new ProtocolError('the guest took more stdin than it was sent');
    this.#untaken -= bytes;
    this.#host?.send(Proc.STDIN, MessageType.REPLY, this.#number, new FieldWriter().u32(bytes).finish());
  }

  ended(exit: GuestExit): void {
    clearInterval(this.#timer);
    this.#watch?.ended(exit);
    this.#host?.send(Proc.EXIT, MessageType.MESSAGE, this.#number, encodeExit(exit));
    this.#host?.ended(this);
  }

  /** The host hears of it by the end of its connection. */
  lost(): void {
    clearInterval(this.#timer);
    this.#host?.ended(this);
  }

  /** @throws {ProtocolError} for more than the host may send */
  stdin(payload: Buffer): void {
    this.#untaken += payload.length;
    if (this.#untaken > STDIN_WINDOW_BYTES) throw new ProtocolError('the host sent more stdin than it may');
    this.#channel.forwardStream(Proc.STDIN, MessageType.DATA, this.#number, payload);
  }

  /** @throws {ProtocolError} for more than the host was sent */
  taken(proc: OutputProc, bytes: number): void {
    if (bytes > this.#outstanding[proc]) throw new ProtocolError('the host took more output than it was sent');
    this.#acknowledge(proc, bytes);
  }

  /** Its host is gone. From now on its output is discarded, and acknowledged, so that it waits for nobody. */
  leave(): void {
    this.#host = undefined;
    if (this.#number !== 0) this.#endForLeft();
  }

  #endForLeft(): void {
    // What is on its way to who watches is acknowledged when it is there.
    const isWatched = this.#watch?.output !== undefined;
    for (const proc of isWatched ? [] : OUTPUTS) this.#acknowledge(proc, this.#outstanding[proc]);
    this.#channel.forwardStream(Proc.STDIN, MessageType.DATA, this.#number, new Uint8Array());
    if (this.#keep) return;
    this.#signal(SIGHUP);
    // With a terminal the foreground process group is killed, and behind it there may be another.
    this.#timer = setInterval(() => this.#signal(SIGKILL), LEFT_MS).unref();
  }

  #acknowledge(proc: OutputProc, bytes: number): void {
    if (bytes === 0) return;
    this.#outstanding[proc] -= bytes;
    this.#channel.forwardStream(proc, MessageType.REPLY, this.#number, new FieldWriter().u32(bytes).finish());
  }

  #signal(signal: number): void {
    this.#channel.call({ op: 'signal', process: this.#number, signal }, { tolerate: true }).catch((error: unknown) => {
      // It has ended meanwhile, or the sandbox has.
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    });
  }
}

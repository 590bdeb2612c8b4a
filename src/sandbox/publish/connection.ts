/** One connection to a published port: a program of the init carries it on to the service inside. */
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { SandboxError } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import { type Builtin, BuiltinError, type BuiltinOptions } from '../process/builtin.js';
import type { Client } from './client-limit.js';

/** Starts `connect` inside. */
export type Connect = (options: Pick<BuiltinOptions, 'onStderr'>) => Promise<Builtin>;

export class Connection implements Client {
  readonly protocol = 'tcp';
  readonly #socket: Socket;
  readonly #gone = new AbortController();
  #builtin: Builtin | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // What a client has sent before its end is still carried on.
    socket.once('close', () => {
      if (!socket.readableEnded || !socket.writableFinished) this.#gone.abort();
    });
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** A write counts when the kernel has all of it. With a slow client that takes minutes, while it is held up. */
  get moved(): number {
    const { bytesRead, bytesWritten } = this.#socket;
    return bytesRead + bytesWritten - this.#unsent;
  }

  get isHeldUp(): boolean {
    return this.#unsent + this.#socket.readableLength > 0;
  }

  /** The service may not read what came before the end. */
  get hasLeft(): boolean {
    return this.#socket.closed && !this.gone.aborted;
  }

  /** Bytes on their way to the kernel, or to the guest. */
  get #unsent(): number {
    return this.#socket.writableLength + (this.#builtin?.stdin.writableLength ?? 0);
  }

  look(): void {
    const { readableLength, readableEnded, writable, writableLength } = this.#socket;
    // A reset is not seen while nothing is read or written. A write of nothing sees it.
    if ((readableLength > 0 || readableEnded) && writable && writableLength === 0) this.#socket.write('');
  }

  /** Resets it, whatever is on its way, and kills its program. */
  end(): void {
    resetNow(this.#socket);
    this.#gone.abort();
  }

  /**
   * Carries it until the program inside has ended. The end of either direction is passed on by itself. If anything fails
   * inside, the connection is reset behind what came before.
   */
  async carry(connect: Connect): Promise<void> {
    const socket = this.#socket;
    try {
      const ended = deferred<void>();
      const onStderr = (bytes: Buffer) => {
        if (isEnd(bytes)) ended.resolve();
      };
      // It is started to its end even if the client leaves meanwhile, so that no more are started than may run.
      const builtin = await connect({ onStderr });
      this.#builtin = builtin;
      const kill = () => void builtin.kill();
      this.gone.addEventListener('abort', kill, { once: true });
      if (this.gone.aborted) kill();
      socket.pipe(builtin.stdin);
      builtin.stdout.pipe(socket, { end: false });
      await finished(builtin.stdout);
      // Only with its report is that the end of what the service has sent.
      await Promise.race([ended.promise, builtin.ended]);
      await flushed(socket);
      socket.end();
      await builtin.ended;
      // It ends well only behind the end of the client's direction. Another guest may say anything.
      if (!socket.readableEnded) resetNow(socket);
    } catch (error) {
      if (!this.gone.aborted && !(error instanceof SandboxError) && !(error instanceof BuiltinError)) throw error;
      // Behind what came before.
      if (!socket.writableEnded) await flushed(socket);
      resetNow(socket);
      await this.#builtin?.ended.catch(() => {});
    }
  }
}

/** A report of errno 0. It is the first that comes, if it comes. */
function isEnd(report: Buffer): boolean {
  return report.length >= 4 && report.readUInt32BE(0) === 0;
}

/** Resets it, whatever is on its way to the client. */
function resetNow(socket: Socket): void {
  // libuv does not reset one whose end is on its way, and would keep it open. All else has gone to the kernel by then.
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** Waits until the kernel has all that was written, or the socket is closed. */
async function flushed(socket: Socket): Promise<void> {
  if (socket.writableLength > 0) await new Promise<void>((resolve) => socket.write('', () => resolve()));
}

/** What each holder has: the process that waits for it, its log, and no garbage. */

import { Socket } from 'node:net';
import type { LogWriter } from '../../control/log-writer.js';
import { oneLine } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import { nameProgram } from '../program-name.js';
import { usageError } from '../usage-error.js';
import { CALLER_FD, type FromCaller, type FromHolder, messagesOf, Teller } from './caller.js';

/** What goes wrong when nobody waits any more is in the log. */
export class Warnings {
  #log: LogWriter | undefined;

  to(log: LogWriter): void {
    this.#log = log;
  }

  add(sentence: string): void {
    void this.#log?.write('stderr', Buffer.from(`virt-sandbox: warning: ${oneLine(sentence)}\n`));
  }
}

/** What the start has left, above all one that has built an image, is not needed for as long as it holds something. */
export async function collectGarbage(): Promise<void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import('node:v8'), import('node:vm')]);
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** The process that waits until all runs. */
export class Caller {
  readonly #socket: Socket;
  readonly #teller: Teller;
  readonly #words = deferred<readonly string[]>();
  readonly #gone = new AbortController();
  /** True: it has the name; false: it is gone. */
  readonly #taken = deferred<boolean>();
  #isTold = false;

  /** @param role the word that has made this process a holder */
  constructor(role: string) {
    try {
      this.#socket = new Socket({ fd: CALLER_FD, readable: true, writable: true, allowHalfOpen: true });
    } catch {
      throw usageError(`there is no option ${role}`, 'virt-sandbox');
    }
    this.#socket.on('error', () => {});
    this.#teller = new Teller(this.#socket);
    void this.#listen();
  }

  /** Aborts when it is gone before it has the name. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  words(): Promise<readonly string[]> {
    return this.#words.promise;
  }

  /**
   * Tells it something, until it is told that all runs. What it did not read before its exit would break the connection,
   * and the word that it has the name would be lost with it.
   */
  tell(message: FromHolder): void {
    if (!this.#isTold) this.#teller.tell(message);
  }

  /** @returns false if it is gone */
  async takes(name: string): Promise<boolean> {
    if (!this.#gone.signal.aborted) this.tell({ running: name });
    this.#isTold = true;
    const isTaken = await this.#taken.promise;
    await this.end();
    return isTaken;
  }

  /** Closes the connection when all is sent. */
  async end(): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end(() => this.#socket.destroy());
    });
  }

  async #listen(): Promise<void> {
    let isTaken = false;
    try {
      for await (const message of messagesOf<FromCaller>(this.#socket)) {
        if ('words' in message) {
          nameProgram(message.program);
          for (const [name, value] of message.allocator) setVariable(name, value);
          this.#words.resolve(message.words);
        } else isTaken = true;
      }
    } catch {
      // It was killed.
    }
    this.#taken.resolve(isTaken);
    this.#words.reject(usageError('the caller is gone', 'virt-sandbox'));
    if (!isTaken) this.#gone.abort();
  }
}

/** As the caller has it, for what this process starts, and for `--env`. */
function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

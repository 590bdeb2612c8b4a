/** A sandbox that somebody has taken of a pool. The first process that is started as its application ends it. */
import { constants } from 'node:os';
import type { GuestExit } from '../../protocol/exit.js';
import { OperationError } from '../../protocol/operations.js';
import type { OutputProc } from '../../protocol/packets.js';
import { Proc } from '../../protocol/wire.js';
import { exitStatusOf } from '../../sandbox/exit-status.js';
import type { Launched } from '../../sandbox/launched.js';
import type { ProcessExit } from '../../sandbox/process/types.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { SandboxError } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import type { Served } from '../answers.js';
import type { LogWriter } from '../log-writer.js';
import type { ProcessWatch } from '../served-process.js';
import { Refusal } from '../serving.js';

export class TakenSandbox implements Served {
  readonly launched: Launched;
  readonly exited: Promise<ProcessExit>;
  readonly ending: Promise<unknown>;
  readonly #sandbox: Sandbox;
  /** Undefined: its application's output goes to the host that starts it. */
  readonly #log: LogWriter | undefined;
  readonly #ending = deferred<void>();
  /** A host has its application, or may start it. */
  #isClaimed = false;
  /** Of the application, since it was started. */
  #number: number | undefined;
  #exit: ProcessExit | undefined;
  #logged: Promise<unknown> = Promise.resolve();

  /** @param gone called when nothing of the sandbox is left, before that is told */
  constructor(sandbox: Sandbox, log: LogWriter | undefined, gone: () => void) {
    this.#sandbox = sandbox;
    this.#log = log;
    this.launched = sandbox.launched;
    this.ending = this.#ending.promise;
    void sandbox.ending.then(() => this.#ending.resolve());
    this.exited = this.#watch(gone);
    this.exited.catch(() => {});
  }

  get isIdle(): boolean {
    return this.#sandbox.isIdle;
  }

  /**
   * The next process of a host is the application. A sandbox has one once.
   * @throws {Refusal} if it has one
   */
  application(): ProcessWatch {
    if (this.#isClaimed) throw new Refusal(constants.errno.EBUSY, 'control: the sandbox has its application');
    this.#isClaimed = true;
    const log = this.#log;
    return {
      started: (number) => {
        this.#number = number;
        this.#sandbox.isIdle = false;
      },
      ended: (exit) => this.#ended(exit),
      ...(log === undefined ? {} : { output: (proc, bytes) => this.#write(log, proc, bytes) }),
    };
  }

  /** Sends a signal to the application. Does nothing if it has ended. */
  async kill(signal: number): Promise<void> {
    if (this.#number === undefined || this.#exit !== undefined) return;
    const { channel } = this.launched;
    try {
      await channel.call({ op: 'signal', process: this.#number, signal }, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#sandbox.stop();
  }

  /** Node.js may read what is on its way only later. */
  #write(log: LogWriter, proc: OutputProc, bytes: Buffer): Promise<void> {
    const written = log.write(proc === Proc.STDERR ? 'stderr' : 'stdout', Buffer.from(bytes));
    this.#logged = written;
    return written;
  }

  #ended({ status, timedOut }: GuestExit): void {
    this.#exit = { ...exitStatusOf(status), timedOut };
    this.#ending.resolve();
    void this.#logged.then(() => this.#sandbox.stopSynced());
  }

  async #watch(gone: () => void): Promise<ProcessExit> {
    try {
      const exit = await this.#sandbox.exited;
      return this.#exit ?? exit;
    } catch (error) {
      if (this.#exit !== undefined) return this.#exit;
      throw error;
    } finally {
      gone();
    }
  }
}

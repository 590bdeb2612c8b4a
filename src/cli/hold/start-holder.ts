/** Has another process start something and hold it, and waits until it runs: a detached sandbox, or a pool. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { messageOf, SandboxError } from '../../util/errors.js';
import type { Failure } from '../program.js';
import { programName } from '../program-name.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { print } from '../terminal/output.js';
import { CALLER_FD, type FromHolder, messagesOf, observe, sendMessage } from './caller.js';
import { closeInherited } from './close-inherited.js';
import { reporter } from './report.js';

/**
 * glibc gives memory back to the kernel at once, and keeps one heap for all threads. Without it a holder that has built
 * an image keeps what that took: docs/decisions/0042-detached-sandboxes.md.
 */
const ALLOCATOR: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' };

/** The process that holds it. */
export interface HolderProgram {
  /** Path of the program. */
  readonly script: string;
  /** Its first word, which tells it what it is. */
  readonly role: string;
  /** What it holds, for errors. */
  readonly what: string;
  /** Whether nothing is printed when it runs. */
  readonly isSilent?: boolean;
}

/**
 * Prints the name of what is held when it runs, unless the program is silent.
 * @param words for the holder
 * @returns the exit status for this process
 */
export async function startHolder(program: HolderProgram, words: readonly string[]): Promise<number> {
  await closeInherited(words);
  const holder = new Holder(program, words);
  const start = cancelOnSignal();
  start.abort.addEventListener('abort', () => holder.cancel(), { once: true });
  try {
    const name = await holder.running();
    if (typeof name === 'string') {
      if (start.signal === undefined && program.isSilent !== true) await print(`${name}\n`);
      // A signal has cancelled the start, even if the holder has told meanwhile that all runs.
      if (start.signal !== undefined) return 128 + constants.signals[start.signal];
      await holder.letGo();
      return 0;
    }
    if (start.signal !== undefined) return 128 + constants.signals[start.signal];
    process.stderr.write(name.text);
    return name.status;
  } catch (error) {
    // A holder that is told to stop has nothing more to say.
    if (start.signal !== undefined) return 128 + constants.signals[start.signal];
    throw error;
  } finally {
    await holder.end();
    start.release();
  }
}

class Holder {
  readonly #what: string;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #ended: Promise<string>;
  #isLetGo = false;

  constructor({ script, role, what }: HolderProgram, words: readonly string[]) {
    this.#what = what;
    this.#child = spawn(process.execPath, ['--', script, role], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      // A session of its own: the terminal's signals do not reach it.
      detached: true,
      env: holderEnvironment(),
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(messageOf(error)));
      this.#child.once('exit', (code, signal) => resolve(signal ? `${signal} ended it` : `it exited with ${code}`));
    });
    this.#socket = this.#child.stdio[CALLER_FD] as Socket;
    this.#socket.on('error', () => {});
    const allocator = Object.keys(ALLOCATOR).map((name) => [name, process.env[name]] as const);
    sendMessage(this.#socket, { words, program: programName(), allocator });
  }

  /**
   * Shows what the start has to say.
   * @returns the name of what it holds, or why it does not run
   * @throws {SandboxError} `holder-lost`
   */
  async running(): Promise<string | Failure> {
    let observers: ReturnType<typeof reporter> | undefined;
    try {
      for await (const message of messagesOf<FromHolder>(this.#socket)) {
        if ('verbosity' in message) observers = reporter(message.verbosity);
        else if ('note' in message) {
          observers?.done();
          process.stderr.write(message.note);
        } else if ('running' in message) return message.running;
        else if ('failed' in message) return message.failed;
        else if (observers) observe(observers, message.observed, message.value);
      }
    } finally {
      observers?.done();
    }
    throw lostError(this.#what, await this.#ended);
  }

  /** Gives up the start. It ends when nothing is left. */
  cancel(): void {
    this.#socket.end();
  }

  /** It is on its own from now on. */
  async letGo(): Promise<void> {
    this.#isLetGo = true;
    await new Promise<void>((resolve) => {
      sendMessage(this.#socket, { taken: true });
      this.#socket.end(resolve);
    });
  }

  /** Leaves it, or waits until nothing of it is left. */
  async end(): Promise<void> {
    if (!this.#isLetGo) {
      this.cancel();
      await this.#ended;
    }
    this.#child.unref();
  }
}

/** That of the caller. Node.js is not to read the certificates, as bin/virt-sandbox has it, and times are this one's. */
function holderEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: certificates, VIRT_SANDBOX_TRACE: _trace, ...rest } = process.env;
  const moved = certificates === undefined ? {} : { VIRT_SANDBOX_CA_CERTS: certificates };
  return { ...rest, ...ALLOCATOR, ...moved };
}

function lostError(what: string, how: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'holder-lost',
    message: `the process that was to hold ${what} is gone: ${how}`,
    remedy: 'find out who kills processes here (dmesg tells if memory ran out), and start it again',
  });
}

/** `--detach`: has another process start the sandbox and hold it, and waits until it runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { messageOf, SandboxError } from '../../util/errors.js';
import type { Failure } from '../program.js';
import { cancelOnSignal } from '../terminal/cancel-on-signal.js';
import { print } from '../terminal/output.js';
import { usageError } from '../usage-error.js';
import { CALLER_FD, type FromHolder, HOLD, messagesOf, observe, sendMessage } from './caller.js';
import { closeInherited } from './close-inherited.js';
import { reporter } from './report.js';
import { debugWish } from './wishes.js';

/**
 * glibc gives memory back to the kernel at once, and keeps one heap for all threads. Without it a holder that has built
 * an image keeps what that took: docs/decisions/0042-detached-sandboxes.md.
 */
const ALLOCATOR: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' };

/**
 * Prints the sandbox's name when it runs.
 * @param words of the command line
 * @returns the exit status for this process
 */
export async function detach(words: readonly string[]): Promise<number> {
  if (debugWish().step !== undefined)
    throw usageError('--detach has no terminal for LIBVIRT_SANDBOX_INIT_DEBUG=break:STEP', 'virt-sandbox');
  await closeInherited(words);
  const holder = new Holder(words);
  const start = cancelOnSignal();
  start.abort.addEventListener('abort', () => holder.cancel(), { once: true });
  try {
    const name = await holder.running();
    if (typeof name === 'string') {
      if (start.signal === undefined) await print(`${name}\n`);
      // A signal has cancelled the start, even if the holder has told meanwhile that the sandbox runs.
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
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #ended: Promise<string>;
  #isLetGo = false;

  constructor(words: readonly string[]) {
    const script = process.argv[1] ?? '';
    this.#child = spawn(process.execPath, ['--', script, HOLD], {
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
    sendMessage(this.#socket, { words, allocator: Object.keys(ALLOCATOR).map((name) => [name, process.env[name]]) });
  }

  /**
   * Shows what the start has to say.
   * @returns the name of the sandbox, or why it does not run
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
    throw lostError(await this.#ended);
  }

  /** Gives up the start. It ends when nothing is left. */
  cancel(): void {
    this.#socket.end();
  }

  /** The sandbox is on its own from now on. */
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

function lostError(how: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'holder-lost',
    message: `the process that was to hold the sandbox is gone: ${how}`,
    remedy: 'find out who kills processes here (dmesg tells if memory ran out), and start it again',
  });
}

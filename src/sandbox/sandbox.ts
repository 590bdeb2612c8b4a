/** A running sandbox, for programs. */
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { defaultConfig } from '../config/defaults.js';
import { callerIdentity, rootIdentity } from '../config/identity.js';
import type { SandboxConfig } from '../config/types.js';
import { validateConfig } from '../config/validate.js';
import { OperationError } from '../protocol/operations.js';
import { SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { settlesWithin } from '../util/promises.js';
import { type ExitStatus, exitStatusOf } from './exit-status.js';
import { type Launched, launch } from './launch.js';
import { prepare } from './prepare/prepare.js';
import { refuseUnsupported } from './prepare/supported.js';
import { goneError } from './start/failure.js';
import type { LaunchOptions } from './types.js';

/** A sandbox as a program asks for it: the command, and what differs from the defaults. */
export type SandboxOptions = Partial<SandboxConfig> & Pick<SandboxConfig, 'command'>;

/** How long a guest may take to end by itself when it is stopped, in milliseconds. */
const STOP_MS = 2000;

/**
 * An application that runs in a machine of its own.
 *
 * ```ts
 * const sandbox = await Sandbox.start({ command: ['/bin/date'] });
 * sandbox.stdout.pipe(process.stdout);
 * const { exitCode } = await sandbox.exited;
 * ```
 */
export class Sandbox implements AsyncDisposable {
  /** The name of its domain. */
  readonly name: string;
  /** End it to give the application end-of-file. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty with a terminal. */
  readonly stderr: Readable;
  /**
   * How the application ended. It settles when nothing of the sandbox is left.
   * Rejects with a {@link SandboxError} when the guest ended without saying: `guest-panic`, `guest-gone`, `stopped`.
   */
  readonly exited: Promise<ExitStatus>;
  readonly #launched: Launched;
  #stopping = false;

  private constructor(launched: Launched) {
    this.#launched = launched;
    this.name = launched.name;
    this.stdin = launched.channel.stdin;
    this.stdout = launched.channel.stdout;
    this.stderr = launched.channel.stderr;
    this.exited = this.#watch();
    // Not everybody looks at it.
    this.exited.catch(() => {});
  }

  /**
   * Starts a sandbox. It resolves when the application runs.
   * @param signal calls the start off, or ends the sandbox
   * @throws {SandboxError} whatever failed; nothing is left then. What is not of its type is `config-value-invalid` or `config-key-unknown`
   */
  static async start(wanted: SandboxOptions, options: LaunchOptions = {}): Promise<Sandbox> {
    const { checkStart } = await import('./prepare/start-schema.js');
    checkStart(wanted, options);
    return Sandbox.startChecked(validateConfig(await completeConfig(wanted)), options);
  }

  /**
   * The same for a config that is known to be valid, as those of command lines and files are.
   * @param config as `validateConfig` returns it
   * @internal
   */
  static async startChecked(config: SandboxConfig, options: LaunchOptions): Promise<Sandbox> {
    refuseUnsupported(config);
    const sandbox = new Sandbox(await launch(config, await prepare(config, options), options));
    const { signal } = options;
    if (signal) {
      const stop = () => void sandbox.stop();
      signal.addEventListener('abort', stop, { once: true });
      const release = () => signal.removeEventListener('abort', stop);
      sandbox.exited.then(release, release);
      if (signal.aborted) stop();
    }
    return sandbox;
  }

  /**
   * Sends a signal to the application: to the foreground of its terminal, or to its process group without one. An application that has ended
   * gets none.
   */
  async kill(signal: NodeJS.Signals | number): Promise<void> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal];
    try {
      await this.#launched.channel.call({ op: 'signal', signal: number }, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }

  /** Tells the application's terminal its new size. */
  async resize(rows: number, columns: number): Promise<void> {
    try {
      await this.#launched.channel.call({ op: 'resize', rows, columns }, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }

  /** Ends it, application and all, and waits until nothing is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { channel } = this.#launched;
    channel.quit();
    const timer = setTimeout(() => channel.destroy(), STOP_MS);
    await this.exited.catch(() => {});
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #watch(): Promise<ExitStatus> {
    const { channel, domain, connection, console } = this.#launched;
    let status: ExitStatus | undefined;
    try {
      status = exitStatusOf(await channel.exited);
      return status;
    } catch (error) {
      if (this.#stopping) throw stoppedError(error);
      // libvirt notices the end of a QEMU a little after its sockets close, and may know the reason.
      const reason = (await settlesWithin(domain.stopped, STOP_MS)) ? (await domain.stopped).error : undefined;
      throw reason ?? goneError(console, true);
    } finally {
      try {
        // With its status the guest has said that all is synced and unmounted.
        mark('end.start');
        await domain.destroy({ force: status !== undefined });
        mark('end.done');
      } finally {
        channel.destroy();
        await connection.close();
        mark('connection.closed');
      }
    }
  }
}

/** The defaults for what a program leaves out. */
async function completeConfig(wanted: SandboxOptions): Promise<SandboxConfig> {
  const identity = wanted.identity ?? (await (wanted.privileged ? rootIdentity() : callerIdentity()));
  const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  return { ...defaultConfig(identity), ...given };
}

function stoppedError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'stopped',
    message: 'the sandbox was stopped before the application ended',
    remedy: 'start it again',
    cause,
  });
}

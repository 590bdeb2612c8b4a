/** The public API of a running sandbox. */
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { hasApplication } from '../../init/common/application.js';
import { withHomeMount } from '../config/home.js';
import type { SandboxConfig } from '../config/types.js';
import { validateConfig } from '../config/validate.js';
import { OperationError } from '../protocol/operations.js';
import { SandboxError } from '../util/errors.js';
import { EndWatch } from './end-watch.js';
import type { CommandUse } from './image-root/apply-image.js';
import { withImageRoot } from './image-root/with-image-root.js';
import { launch } from './launch.js';
import type { Launched } from './launched.js';
import { completeConfig } from './prepare/complete-config.js';
import type { CreateOptions, SandboxOptions } from './prepare/create-types.js';
import { prepare } from './prepare/prepare.js';
import type { Prepared } from './prepare/prepared.js';
import { refuseUnsupported } from './prepare/supported.js';
import type { ProcessExit } from './process/types.js';
import type { OpenPorts } from './publish/open-ports.js';
import type { PublishedPort } from './publish/published-port.js';
import { type Screen, screenOn } from './screen/screen.js';
import { Session } from './session.js';
import { removeLeftGroups, removeSystemdGroups } from './state/systemd-group.js';
import type { LaunchOptions, StartOptions } from './types.js';

type StartDurations = Pick<Sandbox, 'prepareMilliseconds' | 'startMilliseconds'>;

/**
 * An application that runs in a sandbox of its own.
 *
 * ```ts
 * const sandbox = await Sandbox.start({ command: ['/bin/date'] });
 * sandbox.stdout.pipe(process.stdout);
 * const { exitCode } = await sandbox.exited;
 * ```
 */
export class Sandbox extends Session implements AsyncDisposable {
  /**
   * Serves a sandbox to other processes, for `control`. A folder above this one has it: the entry point sets it.
   * @internal
   */
  static serve: ((sandbox: Sandbox) => Promise<void>) | undefined;
  /** The domain's name. */
  readonly name: string;
  /** The application's standard input. End it for end-of-file. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty if the application has a terminal. */
  readonly stderr: Readable;
  /**
   * How the application ended. It settles when nothing of the sandbox is left. Rejects with a {@link SandboxError} if
   * the guest ended without an exit status: `guest-panic`, `guest-gone`, `stopped`.
   */
  readonly exited: Promise<ProcessExit>;
  /** How long it took to find or build the boot image, and to prepare all else that a start needs. */
  readonly prepareMilliseconds: number;
  /** From then until the application ran; without one, until commands could be run. */
  readonly startMilliseconds: number;
  /**
   * Settles when the application has ended, before anything of the sandbox is removed. Undefined, or what `exited` is
   * to reject with.
   * @internal
   */
  readonly ending: Promise<unknown>;
  /** @internal */
  readonly launched: Launched;
  readonly #end: EndWatch;
  /**
   * It has no application, and lives until it is stopped. One of a pool may get an application later.
   * @internal
   */
  isIdle: boolean;
  #published: readonly PublishedPort[] = [];
  #screen: Screen | undefined;

  private constructor(launched: Launched, onWarning: LaunchOptions['onWarning'], took: StartDurations) {
    super(launched.channel, launched.guest);
    this.launched = launched;
    this.isIdle = !hasApplication(launched.guest);
    this.name = launched.name;
    this.prepareMilliseconds = took.prepareMilliseconds;
    this.startMilliseconds = took.startMilliseconds;
    const { application } = launched.channel;
    if (this.isIdle) application.isNone();
    this.stdin = application.stdin;
    // Where the sandbox ends first, that is said by `exited`.
    this.stdin.on('error', () => {});
    this.stdout = application.stdout;
    this.stderr = application.stderr;
    this.#end = new EndWatch(this, onWarning);
    this.ending = this.#end.ending;
    this.exited = this.#end.exited;
  }

  /**
   * Starts a sandbox. Resolves when the application runs.
   * @throws {SandboxError} if the start fails; nothing is left then. Values of a wrong type are `config-value-invalid`,
   *   unknown keys `config-key-unknown`, and there is what the parsers of texts throw.
   */
  static async start(wanted: SandboxOptions, options: StartOptions = {}): Promise<Sandbox> {
    const { startedSandbox } = await import('./prepare/create-options.js');
    const { sandbox, launching } = startedSandbox(wanted, options);
    return Sandbox.startChecked(validateConfig(await completeConfig(sandbox)), launching);
  }

  /**
   * Starts a sandbox without a command: it lives until it is stopped, and {@link run} and {@link spawn} start processes
   * in it. `exited` resolves with 0 then, and `stdout` and `stderr` are empty.
   * @throws {SandboxError} as {@link start}, and what the parsers of texts throw
   */
  static async create(options: CreateOptions = {}): Promise<Sandbox> {
    return Sandbox.startWith([], options);
  }

  /**
   * Starts a sandbox with the options of {@link create}, and a command or none.
   * @param timeLimit of the command, in milliseconds
   * @internal
   */
  static async startWith(command: readonly string[], options: CreateOptions, timeLimit?: number): Promise<Sandbox> {
    const { createdSandbox } = await import('./prepare/create-options.js');
    const { sandbox, launching } = createdSandbox(options);
    const config = await completeConfig({ ...sandbox, command });
    const isIdle = command.length === 0;
    return Sandbox.startChecked(
      validateConfig(config, isIdle),
      { ...launching, timeLimit },
      isIdle ? 'none' : 'needed',
    );
  }

  /**
   * Starts a sandbox whose config is valid, as those of command lines and files are.
   * @param valid as `validateConfig` returns it
   * @param use whether the command of an image is run
   * @internal
   */
  static async startChecked(
    valid: SandboxConfig,
    options: LaunchOptions,
    use: CommandUse = 'needed',
  ): Promise<Sandbox> {
    refuseUnsupported(valid);
    const rooted = await withImageRoot(valid, options, use);
    const config = withHomeMount(rooted.config);
    let ports: OpenPorts | undefined;
    let sandbox: Sandbox | undefined;
    try {
      ports = config.publish.length > 0 ? await openPorts(config) : undefined;
      const begun = performance.now();
      const prepared = await prepare(config, options);
      sandbox = await Sandbox.startPrepared(config, prepared, options, performance.now() - begun);
      sandbox.releaseAfter(rooted.release);
      if (ports) sandbox.#published = ports.serve(await sandbox.publisher());
      return sandbox;
    } catch (error) {
      await ports?.close();
      await sandbox?.stop();
      rooted.release();
      throw error;
    }
  }

  /**
   * Starts a sandbox that is prepared.
   * @param prepareMilliseconds how long that took
   * @internal
   */
  static async startPrepared(
    config: SandboxConfig,
    prepared: Prepared,
    options: LaunchOptions,
    prepareMilliseconds: number,
  ): Promise<Sandbox> {
    const { signal, control, onWarning } = options;
    const begun = performance.now();
    const launched = await launch(config, prepared, options);
    const startMilliseconds = performance.now() - begun;
    const sandbox = new Sandbox(launched, onWarning, { prepareMilliseconds, startMilliseconds });
    sandbox.releaseAfter(() => removeSystemdGroups(launched.guest));
    removeLeftGroups(launched.guest);
    sandbox.launched.network?.failed.catch(({ message }: Error) => onWarning?.(message));
    if (signal) sandbox.stopOn(signal);
    if (control) await Sandbox.serve?.(sandbox);
    return sandbox;
  }

  /**
   * Its screen, if it has `graphics`.
   * @throws {SandboxError} `screen-missing`
   */
  get screen(): Screen {
    this.#screen ??= screenOn(this.launched.screen, this.name);
    return this.#screen;
  }

  /** The ports that it was started with, in the order of `publish`. */
  get published(): readonly PublishedPort[] {
    return this.#published;
  }

  /**
   * Stops it when the signal aborts.
   * @internal
   */
  stopOn(signal: AbortSignal): void {
    const stop = () => void this.stop();
    signal.addEventListener('abort', stop, { once: true });
    const release = () => signal.removeEventListener('abort', stop);
    this.exited.then(release, release);
    if (signal.aborted) stop();
  }

  /**
   * Sends a signal to the application: to the foreground process group of its terminal, or without one to its own
   * process group. Does nothing if the application has ended.
   */
  async kill(signal: NodeJS.Signals | number): Promise<void> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal];
    try {
      const { channel } = this.launched;
      await channel.call({ op: 'signal', process: channel.application.number, signal: number }, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }

  /**
   * When the application has ended, nothing is removed before this settles, or two seconds have passed.
   * @internal
   */
  endAfter(work: Promise<unknown>): void {
    this.#end.endAfter(work);
  }

  /**
   * Calls back once nothing of the sandbox is left.
   * @internal
   */
  releaseAfter(release: () => void): void {
    this.exited.then(release, release);
  }

  /** Resizes the application's terminal. Does nothing if the application has ended. */
  async resize(rows: number, columns: number): Promise<void> {
    try {
      const { channel } = this.launched;
      await channel.call({ op: 'resize', process: channel.application.number, rows, columns }, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }

  /** Stops the sandbox with everything in it. Resolves when nothing is left; {@link exited} rejects with `stopped`. */
  async stop(): Promise<void> {
    await this.#end.stop();
  }

  /**
   * As {@link stop}, and sooner: the guest writes what it has to, and is then killed with all that runs in it.
   * @internal
   */
  async stopSynced(): Promise<void> {
    await this.#end.stopSynced();
  }

  /**
   * Ends it where its machine is paused for good.
   * @internal
   */
  async discard(): Promise<void> {
    await this.#end.discard();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function openPorts({ publish }: SandboxConfig): Promise<OpenPorts> {
  const { OpenPorts } = await import('./publish/open-ports.js');
  return OpenPorts.open(publish);
}

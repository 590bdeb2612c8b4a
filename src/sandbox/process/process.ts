/** A process in a running sandbox, beside its application. */
import { getMaxListeners, setMaxListeners } from 'node:events';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { isChdir, processOperation } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import { namesOf } from '../../../init/common/environment.js';
import { spawnBesideSystemd } from '../../../init/common/systemd.js';
import { inMilliseconds } from '../../config/parsers/duration.js';
import type { EnvironmentVariable } from '../../config/types.js';
import type { Channel } from '../../protocol/channel.js';
import { OperationError, type SpawnOperation } from '../../protocol/operations.js';
import type { GuestProcess } from '../../protocol/process.js';
import { MAX_PROCESSES, MAX_TIME_LIMIT, SpawnFlag } from '../../protocol/wire.js';
import { SandboxError } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { exitStatusOf } from '../exit-status.js';
import { spawnError } from '../setup/step-errors.js';
import { refuseUnmappedUser } from '../state/container-ids.js';
import { argvOf, type Command, nameOf } from './command.js';
import { linesOf } from './lines.js';
import { USUAL_BYTES } from './max-buffer.js';
import type { ProcessExit, SpawnOptions } from './types.js';
import { userInside } from './user-inside.js';

/** Of a terminal whose type is not given. */
const TERM = 'xterm';

/** Of a loop over the lines. */
type LoopOptions = Pick<SpawnOptions, 'maxBuffer' | 'signal'>;

/**
 * A process that was started by `sandbox.spawn`. A loop goes over the lines of its stdout:
 *
 * ```ts
 * for await (const line of process) console.log(line);
 * const { exitCode } = await process.exited;
 * ```
 */
export class SandboxProcess implements AsyncIterable<string> {
  /** Its process ID inside. */
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty if it has a terminal. */
  readonly stderr: Readable;
  /**
   * How it ended. All its output was read then, or is in the streams. Rejects with a {@link SandboxError} `process-lost`
   * if the sandbox ends first.
   */
  readonly exited: Promise<ProcessExit>;
  readonly #channel: Channel;
  readonly #process: GuestProcess;
  readonly #name: string;
  readonly #options: LoopOptions;
  #lost: SandboxError | undefined;

  /** @internal */
  constructor(channel: Channel, process: GuestProcess, pid: number, name: string, options: LoopOptions = {}) {
    this.#channel = channel;
    this.#process = process;
    this.#name = name;
    this.#options = options;
    this.pid = pid;
    this.stdin = process.stdin;
    this.stdout = process.stdout;
    this.stderr = process.stderr;
    this.exited = process.exited.then(
      ({ status, timedOut }) => ({ ...exitStatusOf(status), timedOut }),
      (cause: unknown) => {
        this.#lost = lostError(name, cause);
        throw this.#lost;
      },
    );
    // Callers may ignore it. Their writes to a process that is gone fail, and it is known why.
    this.exited.catch(() => {});
    this.stdin.on('error', () => {});
  }

  /**
   * Goes over the lines of stdout, without their ends (LF or CR LF), as UTF-8. From then on stderr is discarded unless
   * somebody reads it. A loop that is left early kills the process group.
   * @throws {SandboxError} `line-too-long`, and `process-lost` if the sandbox ends before the process
   * @throws the reason of the signal that killed it
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    const { maxBuffer = USUAL_BYTES, signal } = this.#options;
    // Unread, it would hold the process up.
    if (this.stderr.readableFlowing === null) this.stderr.resume();
    let isWhole = false;
    try {
      yield* linesOf(this.stdout, maxBuffer, () => tooLongError(this.#name, maxBuffer));
      isWhole = true;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      if (!isWhole) void giveUp(this);
    }
    if (this.#lost) throw this.#lost;
  }

  /**
   * Sends a signal to its foreground process group if it has a terminal, else to its process group. Does nothing if it
   * has ended.
   */
  async kill(signal: NodeJS.Signals | number = 'SIGTERM'): Promise<void> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal];
    await this.#call({ op: 'signal', process: this.#process.number, signal: number });
  }

  /** Resizes its terminal. Does nothing if it has ended. */
  async resize(rows: number, columns: number): Promise<void> {
    await this.#call({ op: 'resize', process: this.#process.number, rows, columns });
  }

  async #call(operation: Parameters<Channel['call']>[0]): Promise<void> {
    try {
      await this.#channel.call(operation, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    }
  }
}

/**
 * Starts a process as the application of `guest` was, but for the options.
 * @param command a string goes to `sh -c`
 * @throws {SandboxError} `command-not-found`, `command-not-executable`, `cwd-unusable`, `spawn-failed`, `user-unknown`,
 *   `user-not-mapped`, `users-unreadable`, `process-lost`
 */
export async function startProcess(
  channel: Channel,
  guest: GuestConfig,
  command: Command,
  options: SpawnOptions = {},
): Promise<SandboxProcess> {
  const name = nameOf(command);
  options.signal?.throwIfAborted();
  if (options.signal) allowListeners(options.signal);
  try {
    const config = await configOf(channel, guest, argvOf(command), options);
    const starting = spawnInGuest(channel, config).then(
      ({ process, pid }) => new SandboxProcess(channel, process, pid, name, options),
    );
    const started = await unlessAborted(starting, options.signal, (reason) => reason as Error).catch((error) => {
      // One that starts all the same is killed.
      starting.then(
        (late) => giveUp(late),
        () => {},
      );
      throw error;
    });
    endOn(options.signal, started);
    return started;
  } catch (error) {
    throw isOver(error) ? lostError(name, error) : error;
  }
}

/** What the guest is told of a process: as of the application, but for the options. */
export async function configOf(
  channel: Channel,
  guest: GuestConfig,
  command: readonly string[],
  { cwd, env = {}, user, tty, timeout }: SpawnOptions,
): Promise<GuestConfig> {
  const identity = user === undefined ? guest.identity : await userInside(channel, user);
  if (user !== undefined) refuseUnmappedUser(guest, identity);
  return {
    ...guest,
    command,
    cwd: cwd ?? (user === undefined ? guest.cwd : undefined),
    identity,
    privileged: guest.privileged && identity.uid === 0,
    // Capabilities would count on the host, where no user namespace is around them.
    ociRoot: guest.ociRoot && !(guest.platform === 'container' && guest.privileged),
    service: guest.service && !(guest.platform === 'container' && guest.privileged),
    environment: [
      ...guest.environment,
      ...(user === undefined ? [] : variables(namesOf(identity))),
      ...(tty === undefined ? [] : variables({ TERM: tty.type ?? TERM })),
      ...variables(env),
    ],
    terminal: tty && { rows: tty.rows, columns: tty.columns, type: tty.type ?? TERM },
    trace: undefined,
    timeLimit: inMilliseconds(timeout, 'timeout', MAX_TIME_LIMIT),
  };
}

/** The last one of a name wins. */
function variables(record: Readonly<Record<string, string>>): EnvironmentVariable[] {
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

/**
 * In the config's working directory, else in the home directory, else in /.
 * @param flags SpawnFlag bits, besides those of the config
 * @throws {SandboxError} as {@link startProcess}
 */
export async function spawnInGuest(
  channel: Channel,
  config: GuestConfig,
  flags = 0,
): Promise<{ process: GuestProcess; pid: number }> {
  const wanted = processOperation(config, config.cwd ?? config.identity.home);
  const plain: SpawnOperation = { ...wanted, flags: wanted.flags | flags };
  const isBesideSystemd = config.systemd !== undefined && (flags & SpawnFlag.BUILTIN) === 0;
  const operation = isBesideSystemd ? spawnBesideSystemd(plain, config) : plain;
  try {
    return await channel.spawn(operation, { tolerate: true });
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    // As for the application: the home directory may be missing inside.
    if (config.cwd !== undefined || !isChdir(error)) throw spawnError(error, config);
  }
  try {
    return await channel.spawn({ ...operation, cwd: '/' }, { tolerate: true });
  } catch (error) {
    throw error instanceof OperationError ? spawnError(error, config) : error;
  }
}

/** One signal may be for many processes. */
export function allowListeners(signal: AbortSignal): void {
  if (getMaxListeners(signal) < MOST_LISTENERS) setMaxListeners(MOST_LISTENERS, signal);
}

const MOST_LISTENERS = 4 * MAX_PROCESSES;

/** Kills it. What nobody reads must not keep it. */
export async function giveUp(process: SandboxProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const killed = process.kill(signal);
  process.stdout.destroy();
  process.stderr.destroy();
  await killed;
}

function endOn(signal: AbortSignal | undefined, process: SandboxProcess): void {
  if (signal === undefined) return;
  const kill = () => void giveUp(process);
  signal.addEventListener('abort', kill, { once: true });
  const release = () => signal.removeEventListener('abort', kill);
  process.exited.then(release, release);
  if (signal.aborted) kill();
}

/** The sandbox has ended, or is about to: its init starts nothing behind the application. */
export function isOver(error: unknown): boolean {
  if (!(error instanceof SandboxError)) return false;
  const { cause } = error;
  const isRefused =
    cause instanceof OperationError && cause.errno === constants.errno.ESRCH && cause.message.startsWith('spawn(');
  return error.code === 'guest-gone' || isRefused;
}

function tooLongError(name: string, most: number): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'line-too-long',
    message: `${name}: it wrote a line of more than ${most} bytes to stdout, and was killed`,
    remedy: 'give a larger maxBuffer, or take its output from stdout as it comes',
  });
}

export function lostError(name: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'process-lost',
    message: `${name}: the sandbox ended before it did, so it may have run in part, or to its end`,
    remedy: 'see how the sandbox ended (its property exited), and start another one',
    cause,
  });
}

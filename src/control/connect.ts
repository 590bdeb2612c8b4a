/** Talks to a running sandbox that another process holds. */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { Channel } from '../protocol/channel.js';
import { OperationError } from '../protocol/operations.js';
import type { Change } from '../sandbox/overlay/walk.js';
import type { SandboxProcess } from '../sandbox/process/process.js';
import type { ProcessExit, SpawnOptions } from '../sandbox/process/types.js';
import { type Screen, screenOn } from '../sandbox/screen/screen.js';
import { Session } from '../sandbox/session.js';
import { connectTo } from '../sandbox/state/connect-to.js';
import { findRunning, type RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { connectedScreen } from './connected-screen.js';
import { controlError, endedError, notYoursError } from './errors.js';
import type { Stillness } from './hold-still.js';
import { openState } from './open-state.js';
import { RecordError, readRecord, type SandboxRecord } from './record.js';
import { type ControlRequest, exitOf, parseEnding, parseStats, type SandboxStats } from './requests.js';

/** The socket in the state directory. */
export const CONTROL_SOCKET = 'control';

/** How long a holder, which may be stopped, may take to greet and to answer first, in milliseconds. */
const GREETING_MS = 10_000;

/** How long what is left to say may take, in milliseconds. */
const LAST_WORDS_MS = 2000;

/** How long the application may take to end by SIGTERM, in milliseconds. */
const STOP_MS = 10_000;

export interface ConnectOptions {
  /** Gives up to connect. */
  readonly signal?: AbortSignal | undefined;
  /** What is started over this connection lives on when the connection ends; default: it is killed. */
  readonly keep?: boolean | undefined;
  /** That of its record. Another sandbox of the name is none then. */
  readonly uuid?: string | undefined;
}

/**
 * A sandbox that another process holds. Processes are started in it as in one's own; unless the connection was made with
 * `keep`, they get SIGHUP when it ends, and SIGKILL two seconds later.
 */
export class ConnectedSandbox extends Session implements AsyncDisposable {
  readonly name: string;
  readonly record: SandboxRecord;
  readonly #channel: Channel;
  readonly #socket: Socket;
  readonly #running: RunningSandbox;
  #screen: Screen | undefined;

  /** @internal */
  constructor(channel: Channel, socket: Socket, record: SandboxRecord, running: RunningSandbox) {
    super(channel, record.guest);
    this.#channel = channel;
    this.#socket = socket;
    this.#running = running;
    this.name = record.name;
    this.record = record;
  }

  /**
   * Its screen, if it has one.
   * @throws {SandboxError} `screen-missing`
   */
  get screen(): Screen {
    const port = connectedScreen(this.record, this.#running, (request) => this.ask(request));
    this.#screen ??= screenOn(port, this.name);
    return this.#screen;
  }

  /**
   * Connects to its screen, as a viewer of VNC.
   * @throws {SandboxError} `screen-missing`, `viewers-not-let-in`, `viewer-failed`
   * @internal
   */
  async openViewer(): Promise<Socket> {
    const { openViewer } = await import('./open-viewer.js');
    return openViewer(this.record, this.#running);
  }

  /**
   * Stops the sandbox. Its application gets SIGTERM, and SIGKILL after `timeout` milliseconds (default: 10 s). Resolves
   * when nothing is left.
   * @throws {SandboxError} `control-failed`, `sandbox-ended`
   */
  async stop({ timeout = STOP_MS }: { readonly timeout?: number } = {}): Promise<void> {
    await this.ask({ ask: 'stop', timeoutMs: timeout });
  }

  /**
   * Sends a signal to the application. SIGKILL stops a sandbox that has none.
   * @throws {SandboxError} `control-failed`, `sandbox-ended`
   */
  async kill(signal: NodeJS.Signals | number): Promise<void> {
    const number = typeof signal === 'number' ? signal : osConstants.signals[signal];
    await this.ask({ ask: 'kill', signal: number });
  }

  /**
   * Waits until nothing of the sandbox is left.
   * @returns how its application ended: `exitCode` is 124 if its time was over, and 0 if there was none
   * @throws {SandboxError} what it ended with; `control-failed`, `sandbox-ended`
   */
  async wait(): Promise<ProcessExit> {
    const ending = parseEnding(await this.ask({ ask: 'wait' }));
    if (ending === undefined) throw this.#nonsense();
    return exitOf(ending);
  }

  /** @throws {SandboxError} `control-failed`, `sandbox-ended` */
  async stats(): Promise<SandboxStats> {
    const stats = parseStats(await this.ask({ ask: 'stats' }));
    if (stats === undefined) throw this.#nonsense();
    return stats;
  }

  /**
   * Starts the application of a sandbox that was taken of a pool. The sandbox ends with it.
   * @throws {SandboxError} as `spawn`, and `control-failed` if it has an application
   * @internal
   */
  async startApplication(command: readonly string[], options: SpawnOptions): Promise<SandboxProcess> {
    const [, process] = await Promise.all([this.ask({ ask: 'application' }), this.spawn(command, options)]);
    return process;
  }

  /**
   * What it has changed of its root, where the layers are inside; undefined: it has none there, or its record does not
   * say so.
   * @param silence as of `changesInside`
   * @throws {SandboxError} as `changesInside`, but `sandbox-ended`
   * @internal
   */
  async changes(silence?: number): Promise<Change[] | undefined> {
    const { overlay, root, rootImage, guest } = this.record;
    if (!overlay) return undefined;
    const { changesInside } = await import('../sandbox/overlay/changes-inside.js');
    try {
      return await changesInside({ name: this.name, channel: this.#channel, guest, root, rootImage, overlay }, silence);
    } catch (error) {
      throw error instanceof SandboxError && error.code === 'process-lost' ? endedError(this.name, error) : error;
    }
  }

  /**
   * Holds the sandbox still, with all that it has written where the host sees it, until it is released or the connection
   * ends.
   * @throws {SandboxError} `sandbox-not-still`, `control-failed`, `sandbox-ended`
   * @internal
   */
  async holdStill(signal?: AbortSignal): Promise<Stillness> {
    const { holdStill } = await import('./hold-still.js');
    return holdStill({ channel: this.#channel, record: this.record, ask: (request) => this.ask(request) }, signal);
  }

  /** Ends the connection, and with it what was started over it. A holder that reads nothing is not waited for. */
  async close(): Promise<void> {
    this.#channel.quit();
    const ended = new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve();
      this.#socket.once('close', resolve);
      this.#socket.end(resolve);
    });
    await settlesWithin(ended, LAST_WORDS_MS);
    this.#channel.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * @internal
   * @throws {SandboxError} `control-failed`, `sandbox-ended`
   */
  async ask(request: ControlRequest): Promise<string> {
    try {
      return (await this.#channel.call({ op: 'control', request: JSON.stringify(request) }, { tolerate: true })).value;
    } catch (error) {
      if (error instanceof OperationError)
        throw controlError(`the sandbox ${this.name}: ${error.message}`, 'see virt-sandbox-ctl inspect', error);
      if (error instanceof SandboxError) throw endedError(this.name, error);
      throw error;
    }
  }

  #nonsense(): SandboxError {
    return controlError(
      `the holder of the sandbox ${this.name} gives an answer that makes no sense`,
      'use the same version of virt-sandbox as who started it',
    );
  }
}

/**
 * Connects to the running sandbox `NAME` of this user; for root also `USER/NAME`.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`, `user-unknown`, `control-failed`, `sandbox-ended`
 * @throws the signal's reason if it aborts
 */
export async function connectSandbox(name: string, options: ConnectOptions = {}): Promise<ConnectedSandbox> {
  options.signal?.throwIfAborted();
  const running = await findRunning(name);
  const { socket, record } = await open(running).catch((error: unknown) => throwUnlessEnded(name, error));
  if (options.uuid !== undefined && record.uuid !== options.uuid) {
    socket.destroy();
    throw endedError(name);
  }
  const giveUp = () => socket.destroy();
  options.signal?.addEventListener('abort', giveUp, { once: true });
  if (options.signal?.aborted) giveUp();
  const timer = setTimeout(giveUp, GREETING_MS);
  try {
    const { channel } = await Channel.open(socket);
    const connected = new ConnectedSandbox(channel, socket, record, running);
    if (options.keep) await connected.ask({ ask: 'keep' });
    return connected;
  } catch (error) {
    socket.destroy();
    options.signal?.throwIfAborted();
    if (!(error instanceof SandboxError) || error.code === 'sandbox-ended') throw error;
    // One that ends meanwhile is not there any more.
    await findRunning(name);
    throw controlError(
      `the holder of the sandbox ${name} does not talk to this program: ${error.message}`,
      'see that it still runs, that fewer than 64 are connected, and that it has the same version of virt-sandbox',
      error,
    );
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', giveUp);
  }
}

/**
 * One that ends while it is being talked to is not there any more. Anything else is `error`.
 * @throws {SandboxError}
 */
async function throwUnlessEnded(name: string, error: unknown): Promise<never> {
  await findRunning(name);
  throw error;
}

/** Where another user says that viewers go, root's own must not: a service may listen there that trusts root. */
function believed(record: SandboxRecord, isForeign: boolean): SandboxRecord {
  if (!isForeign || record.screen === undefined) return record;
  return {
    ...record,
    screen: { ...record.screen, vncSocket: undefined, spiceSocket: undefined, listening: undefined },
  };
}

/** Everything is reached through the descriptor of its directory, so that its owner cannot put a link in the way. */
async function open(running: RunningSandbox): Promise<{ socket: Socket; record: SandboxRecord }> {
  const { name, user } = running;
  let fd: number | undefined;
  try {
    fd = openState(running);
    const directory = `/proc/self/fd/${fd}`;
    const record = believed(readRecord(directory, name, user?.uid), user !== undefined);
    return { record, socket: await connectTo(join(directory, CONTROL_SOCKET), user?.uid) };
  } catch (error) {
    if (isSystemError(error, 'EACCES') || isSystemError(error, 'EPERM')) throw notYoursError(name, error);
    if (error instanceof SandboxError) throw error;
    const why = error instanceof RecordError || isSystemError(error) ? error.message : messageOf(error);
    throw controlError(
      `the sandbox ${name} cannot be talked to: ${why}`,
      'see that it still runs, and try again when it has started',
      error,
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

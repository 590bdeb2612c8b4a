/** Opens a root shell in a sandbox that another process runs. */

import { lstatSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { BUSYBOX, type ShellTerminal, shellSpawn } from '../../init/common/shell.js';
import { Channel } from '../protocol/channel.js';
import { OperationError } from '../protocol/operations.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { ShellDirectory } from './devices/shell-directory.js';
import { type ExitStatus, exitStatusOf } from './exit-status.js';
import { openTerminal } from './start/transports.js';
import { connectTo } from './state/connect-to.js';
import { findRunning, type RunningSandbox } from './state/running.js';

export interface AttachOptions {
  /** Run as root instead of a shell; default: none. */
  readonly command?: readonly string[];
  /** Undefined: three pipes instead of a terminal. */
  readonly terminal?: ShellTerminal | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An attached root shell. */
export interface Attached {
  readonly name: string;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Empty if the shell has a terminal. */
  readonly stderr: Readable;
  /** How the shell ended. Rejects with a {@link SandboxError} `sandbox-ended`. */
  readonly exited: Promise<ExitStatus>;
  /** The sandbox is paused at a breakpoint. */
  readonly atBreakpoint: boolean;
  kill(signal: NodeJS.Signals): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
  /**
   * Ends the session: the shell loses its terminal.
   * @param status at a breakpoint, 0 lets the start go on, any other gives it up; undefined: it stays paused
   */
  close(status?: number): Promise<void>;
}

/**
 * Starts a root shell in the running sandbox `NAME` of this user; for root also `USER/NAME`.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`, `user-unknown`, `no-shell`, `attached-already`,
 *   `attach-failed`, `attach-unsafe`
 */
export async function attachTo(name: string, options: AttachOptions = {}): Promise<Attached> {
  return attachIn(await findRunning(name), options);
}

export async function attachIn(sandbox: RunningSandbox, options: AttachOptions): Promise<Attached> {
  const { name, user } = sandbox;
  const directory = ShellDirectory.open(sandbox);
  try {
    await directory.lock(name);
    const socket = await open(name, directory.sessions, user?.uid);
    try {
      return await start(sandbox, socket, directory, options);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  } catch (error) {
    directory.close();
    throw error;
  }
}

async function start(
  { name, user }: RunningSandbox,
  socket: Socket,
  directory: ShellDirectory,
  { command = [], terminal, signal }: AttachOptions,
): Promise<Attached> {
  const giveUp = () => socket.destroy();
  signal?.addEventListener('abort', giveUp, { once: true });
  const { channel } = await Channel.open(socket).catch((error: unknown) => {
    throw ended(name, error);
  });
  signal?.removeEventListener('abort', giveUp);
  try {
    await spawn(name, channel, command, terminal);
  } catch (error) {
    await leave(channel, socket);
    throw error;
  }
  const { application } = channel;
  const stopped = lstatSync(directory.breakpoint, { throwIfNoEntry: false })?.isSocket() === true;
  const tolerant = async (call: Promise<unknown>): Promise<void> => {
    await call.catch((error: unknown) => {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    });
  };
  return {
    name,
    stdin: application.stdin,
    stdout: application.stdout,
    stderr: application.stderr,
    exited: application.exited.then(
      ({ status }) => exitStatusOf(status),
      (error: unknown) => {
        throw ended(name, error);
      },
    ),
    atBreakpoint: stopped,
    kill: (name) =>
      tolerant(
        channel.call(
          { op: 'signal', process: application.number, signal: osConstants.signals[name] },
          { tolerate: true },
        ),
      ),
    resize: (rows, columns) =>
      tolerant(channel.call({ op: 'resize', process: application.number, rows, columns }, { tolerate: true })),
    close: async (status) => {
      await leave(channel, socket);
      if (stopped && status !== undefined) await tell(directory.breakpoint, status, user?.uid);
      directory.close();
    },
  };
}

/**
 * Ends the session with QUIT before it closes the socket. If the guest only saw the hang-up, the next client could
 * connect before that and would talk to the old session.
 */
async function leave(channel: Channel, socket: Socket): Promise<void> {
  channel.quit();
  await new Promise<void>((resolve) => socket.end(resolve));
  channel.destroy();
}

/** Starts the root's own shell, or the boot image's busybox if there is no root yet. */
async function spawn(
  name: string,
  channel: Channel,
  command: readonly string[],
  terminal: ShellTerminal | undefined,
): Promise<void> {
  try {
    await channel.call(shellSpawn(name, command, terminal));
  } catch (error) {
    if (!(error instanceof OperationError)) throw ended(name, error);
    const missing = error.errno === osConstants.errno.ENOENT;
    const busybox = [BUSYBOX, 'sh'];
    if (missing && command.length === 0) {
      try {
        await channel.call(shellSpawn(name, command, terminal, busybox), { recover: true });
        return;
      } catch (second) {
        if (!(second instanceof OperationError)) throw ended(name, second);
      }
    }
    const what = command[0] ?? '/bin/sh';
    throw new SandboxError({
      stage: 'application',
      code: missing ? 'command-not-found' : 'spawn-failed',
      message: `${what} cannot be started in the sandbox ${name}: ${error.message}`,
      remedy: 'name a program that is in the root of the sandbox: virt-sandbox --attach NAME -- PROGRAM',
      exitCode: command.length === 0 ? 125 : missing ? 127 : 126,
      cause: error,
    });
  }
}

/**
 * Sends the shell's status to a start that is paused at a breakpoint.
 * @param uid of the user whose sandbox it is, if that is not the caller
 */
async function tell(breakpoint: string, status: number, uid: number | undefined): Promise<void> {
  let socket: Socket;
  try {
    socket = await connectTo(breakpoint, uid);
  } catch {
    // The start has ended.
    return;
  }
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.setTimeout(TOLD_MS, () => {
      socket.destroy();
      resolve();
    });
    socket.write(`${status}\n`);
  });
}

/** How long the start may take to hear the status, in milliseconds. */
const TOLD_MS = 5000;

/** @param uid of the user whose sandbox it is, if that is not the caller */
async function open(name: string, path: string, uid: number | undefined): Promise<Socket> {
  // The link of a container leads to a terminal, which is usable at once. Containers are root's.
  if (uid === undefined && statSync(path, { throwIfNoEntry: false })?.isCharacterDevice()) return openTerminal(path);
  try {
    return await connectTo(path, uid);
  } catch (error) {
    if (isSystemError(error, 'EACCES') || isSystemError(error, 'EPERM')) throw notYours(name, error);
    throw new SandboxError({
      stage: 'application',
      code: 'attach-failed',
      message: `the sandbox ${name} cannot be attached to: ${messageOf(error)}`,
      remedy: 'see that it still runs, and try again when its machine has started',
      cause: error,
    });
  }
}

function notYours(name: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'not-yours',
    message: `the sandbox ${name} is another user's`,
    remedy: 'attach as the user who started it, or as root',
    cause,
  });
}

function ended(name: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-ended',
    message: `the sandbox ${name} ended`,
    remedy: 'its shells end with it; start it again',
    cause,
  });
}

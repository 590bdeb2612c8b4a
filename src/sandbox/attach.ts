/** Opens a root shell in a sandbox that another process runs. */

import { statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { BUSYBOX, type ShellTerminal, shellSpawn } from '../../init/common/shell.js';
import { Channel } from '../protocol/channel.js';
import { OperationError } from '../protocol/operations.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { shellPaths } from './devices/shell.js';
import { type ExitStatus, exitStatusOf } from './exit-status.js';
import { openTerminal } from './start/transports.js';
import { socketDirectory } from './state/alias.js';
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
 * Starts a root shell in the running sandbox `name` of this user.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`, `no-shell`, `attached-already`, `attach-failed`
 */
export async function attachTo(name: string, options: AttachOptions = {}): Promise<Attached> {
  return attachIn(findRunning(name), options);
}

export async function attachIn({ name, stateDirectory }: RunningSandbox, options: AttachOptions): Promise<Attached> {
  const paths = shellPaths(socketDirectory(stateDirectory));
  const lock = await lockOf(name, paths.directory);
  try {
    const socket = await open(name, paths.sessions);
    try {
      return await start(name, socket, lock, paths.breakpoint, options);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function start(
  name: string,
  socket: Socket,
  lock: Server,
  breakpoint: string,
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
  const stopped = statSync(breakpoint, { throwIfNoEntry: false }) !== undefined;
  const tolerant = async (call: Promise<unknown>): Promise<void> => {
    await call.catch((error: unknown) => {
      if (!(error instanceof OperationError) && !(error instanceof SandboxError)) throw error;
    });
  };
  return {
    name,
    stdin: channel.stdin,
    stdout: channel.stdout,
    stderr: channel.stderr,
    exited: channel.exited.then(exitStatusOf, (error: unknown) => {
      throw ended(name, error);
    }),
    atBreakpoint: stopped,
    kill: (number) => tolerant(channel.call({ op: 'signal', signal: constants.signals[number] }, { tolerate: true })),
    resize: (rows, columns) => tolerant(channel.call({ op: 'resize', rows, columns }, { tolerate: true })),
    close: async (status) => {
      await leave(channel, socket);
      lock.close();
      if (stopped && status !== undefined) await tell(breakpoint, status);
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
    const missing = error.errno === constants.errno.ENOENT;
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

/** Sends the shell's status to a start that is paused at a breakpoint. */
async function tell(breakpoint: string, status: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(breakpoint);
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.on('connect', () => socket.write(`${status}\n`));
  });
}

/**
 * Allows one session at a time: QEMU would let a second one wait forever. The lock is a socket in the abstract
 * namespace of unix(7), which goes away with its process.
 */
async function lockOf(name: string, directory: string): Promise<Server> {
  const status = statSync(directory, { throwIfNoEntry: false });
  if (status === undefined) throw noShell(name);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(`\0virt-sandbox/${status.dev}:${status.ino}`, resolve);
  }).catch((error: unknown) => {
    if (!isSystemError(error, 'EADDRINUSE')) throw error;
    throw new SandboxError({
      stage: 'application',
      code: 'attached-already',
      message: `another session is attached to the sandbox ${name}`,
      remedy: 'detach there with Ctrl+] or leave that shell, and attach again',
      cause: error,
    });
  });
  return server;
}

async function open(name: string, path: string): Promise<Socket> {
  // For a container it is a terminal, which is usable at once.
  if (statSync(path, { throwIfNoEntry: false })?.isCharacterDevice()) return openTerminal(path);
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', resolve);
    });
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
  return socket;
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

function noShell(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'no-shell',
    message: `the sandbox ${name} was started without a shell to attach to`,
    remedy: 'start it with --shell',
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

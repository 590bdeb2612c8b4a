/** The processes that serve a machine's user networking: a netwall with its passt for each interface. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { messageOf, SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { deferred, settlesWithin } from '../../util/promises.js';
import type { UserNetwork } from '../devices/user-network.js';

/** How long they may take to end when QEMU is gone, in milliseconds. */
const END_MS = 3000;

/** The exit status with which netwall says that it has failed by itself. init/netwall/main.c */
const NETWALL_FAILED = 125;

/** Most characters of their messages that are kept. */
const STDERR_CHARACTERS = 2048;

export class UserNetworkProcesses {
  /** Rejects when a process ends while QEMU is connected to it: `network-failed`. */
  readonly failed: Promise<never>;
  /** Resolves when QEMU has connected every interface. */
  readonly connected: Promise<void>;
  readonly #network: Pick<UserNetwork, 'count' | 'open'>;
  readonly #connected = deferred<void>();
  readonly #command: readonly [string, ...string[]];
  readonly #failure = deferred<never>();
  readonly #processes: { readonly child: ChildProcess; readonly ended: Promise<void> }[] = [];

  /** @param command that serves one of the network's interfaces */
  constructor(command: readonly [string, ...string[]], network: Pick<UserNetwork, 'count' | 'open'>) {
    this.#command = command;
    this.#network = network;
    this.connected = this.#connected.promise;
    this.failed = this.#failure.promise;
    this.failed.catch(() => {});
  }

  /**
   * Hands QEMU's connection to a process of its own. It must be called before the event loop reads from the socket: in
   * the server's `connection` event.
   */
  serve(socket: Socket): void {
    const [program, ...args] = this.#command;
    // In a session of its own: a Ctrl+C at the terminal is not for it. It ends when QEMU does, however this process
    // ends.
    let child: ChildProcess;
    try {
      // It may live as long as a detached sandbox, and must not hold the file system that the caller is in.
      child = spawn(program, args, { stdio: [socket, 'ignore', 'pipe'], cwd: '/', detached: true });
    } catch (error) {
      // There is no memory or no process for it, for example. Nobody catches what a connection's event throws.
      socket.destroy();
      this.#failure.reject(netwallError(messageOf(error)));
      return;
    }
    // The process has the connection now.
    socket.destroy();
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = `${stderr}${text}`.slice(-STDERR_CHARACTERS);
    });
    const ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        this.#failure.reject(netwallError(messageOf(error)));
        resolve();
      });
      child.once('close', (code, signal) => {
        const reason = stderr.trim() || signal || 'without a message';
        // A network that reaches the host has no netwall left: passt has taken its place.
        const isWall = code === NETWALL_FAILED || (signal !== null && !this.#network.open);
        if (code !== 0) this.#failure.reject(isWall ? netwallError(reason) : passtError(reason));
        resolve();
      });
    });
    this.#processes.push({ child, ended });
    if (this.#processes.length === this.#network.count) this.#connected.resolve();
  }

  /** Waits until all have ended. QEMU must be gone. */
  async end(): Promise<void> {
    const all = Promise.all(this.#processes.map(({ ended }) => ended));
    if (await settlesWithin(all, END_MS)) return;
    for (const { child } of this.#processes) child.kill('SIGKILL');
    await all;
  }
}

function passtError(reason: string): SandboxError {
  return failedError(
    'passt, which serves the user networking, ended',
    reason,
    `see docs/network.md for what it needs; or leave ${option('networks')} out`,
  );
}

function netwallError(reason: string): SandboxError {
  return failedError(
    "netwall, which keeps user networking from the host's services, failed",
    reason,
    `allow the host what the message names (docs/network.md); or leave ${option('networks')} out`,
  );
}

function failedError(what: string, reason: string, remedy: string): SandboxError {
  const message = `${what}: ${reason.replaceAll('\n', '; ')}`;
  return new SandboxError({ stage: 'domain', code: 'network-failed', message, remedy });
}

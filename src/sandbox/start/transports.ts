/**
 * The transports to a guest, channel and console: sockets that QEMU connects to, or pseudo-terminals of a container.
 */
import { constants, openSync, symlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ReadStream } from 'node:tty';
import type { ConnectionKind, Domain } from '../../libvirt/connection.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { mark } from '../../util/marks.js';
import { CHANNEL_CONSOLE, LOG_CONSOLE, makeContainerRoot } from '../devices/container-options.js';
import { SHELL_CONSOLE, shellPaths } from '../devices/shell.js';
import type { StateDirectory } from '../state/state-directory.js';
import type { Console } from './console.js';
import { Listener } from './listener.js';

/** Opened before the domain is started, so no output is missed. */
export interface Transports {
  /** What the start waits for until the channel is connected, for errors. */
  readonly awaited: string;
  /** The same until the init answers. */
  readonly unanswered: string;
  /** The channel, when it is connected. The console is read from then on, or earlier. */
  channel(domain: Promise<Domain>): Promise<Duplex>;
  /** QEMU's monitor, when it is connected; undefined: there is none. */
  readonly monitor: Promise<Socket> | undefined;
  /** Closes the sockets that are not connected. */
  close(): void;
}

export interface TransportOptions {
  /** The machine has QEMU's monitor on its channel's socket: src/domain/monitor.ts */
  readonly monitored: boolean;
  /** The user that QEMU runs as, where libvirt does not make the sockets that user's. */
  readonly owner?: number | undefined;
  /** How many interfaces have their frames on the channel's socket, and what serves one. src/domain/interfaces.ts */
  readonly network?: { readonly count: number; readonly serve: (connection: Socket) => void } | undefined;
}

export async function openTransports(
  kind: ConnectionKind,
  state: StateDirectory,
  console: Console,
  options: TransportOptions,
): Promise<Transports> {
  return kind === 'lxc' ? terminalTransports(state, console) : socketTransports(state, console, options);
}

async function socketTransports(
  state: StateDirectory,
  console: Console,
  { monitored, owner, network }: TransportOptions,
): Promise<Transports> {
  const open: Listener[] = [];
  const listen = async (path: string, count: number, handed: Parameters<typeof Listener.open>[1] = {}) => {
    const listener = await Listener.open(path, { owner, count, ...handed });
    open.push(listener);
    return listener;
  };
  const close = () => {
    for (const listener of open) listener.close();
  };
  try {
    // QEMU connects in this order: channel, monitor, interfaces.
    const handed = network ? { handed: network.count, hand: network.serve } : {};
    const channel = await listen(state.channelSocket, monitored ? 2 : 1, handed);
    const log = await listen(state.consoleSocket, 1);
    void log.connection.then((socket) => {
      mark('qemu.console');
      console.attach(socket);
    });
    const monitor = monitored ? channel.connectionAt(1) : undefined;
    void monitor?.then(() => mark('qemu.monitor'));
    return {
      awaited: 'QEMU being started',
      unanswered: 'the machine running, its kernel or init not answering',
      monitor,
      channel: () => channel.connection,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function terminalTransports(state: StateDirectory, console: Console): Transports {
  makeContainerRoot();
  return {
    awaited: 'the container being started',
    unanswered: 'the container running, its init not answering',
    monitor: undefined,
    async channel(domain) {
      const paths = await (await domain).consolePaths();
      console.attach(openTerminal(paths[LOG_CONSOLE]));
      const shell = paths[SHELL_CONSOLE];
      // attach.ts looks for it there.
      if (shell !== undefined) symlinkSync(shell, shellPaths(state.path).sessions);
      return openTerminal(paths[CHANNEL_CONSOLE]);
    },
    close: () => {},
  };
}

/**
 * Opens the host's end of a container's console. libvirt has set it to raw mode, with flow control.
 * @throws {SandboxError} `console-unusable`
 */
export function openTerminal(path: string | undefined): Socket {
  try {
    if (path === undefined) throw new Error('libvirt has made none');
    return new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
  } catch (error) {
    throw new SandboxError({
      stage: 'domain',
      code: 'console-unusable',
      message: `the console ${path ?? ''} of the container cannot be opened: ${messageOf(error)}`,
      remedy: 'see that /dev/pts here is the one that libvirtd has',
      cause: error,
    });
  }
}

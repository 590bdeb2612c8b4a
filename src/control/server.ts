/** Serves a sandbox to other processes of its user: docs/protocol.md, "A holder that serves others". */
import { randomUUID } from 'node:crypto';
import { chmodSync, closeSync, constants, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { rootText } from '../config/root.js';
import { unseenPaths } from '../sandbox/devices/root-view.js';
import { recordedOverlay } from '../sandbox/overlay/recorded.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import type { HeldScreen } from '../sandbox/screen/types.js';
import { isOfOwner } from '../sandbox/state/peer.js';
import { valueOr } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { answer } from './answers.js';
import { CONTROL_SOCKET } from './connect.js';
import { Pause } from './pause.js';
import { recordedGuest, type SandboxRecord, writeRecord } from './record.js';
import { ServedHost } from './served-host.js';
import type { ServedHostOptions } from './serving.js';

export const MOST_HOSTS = 64;

/** How long hosts may take to read the last answers, in milliseconds; the one with the application has any time. */
const LAST_WORDS_MS = 1000;

/** Serves until it is closed. */
export interface ControlServer {
  /** How many are connected. */
  readonly hosts: number;
  /** Ends the connections when the last answers are read. Further calls wait for the first. */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly detached: boolean;
  /** Called when somebody asks for its end. */
  readonly onStop?: () => void;
  /** Of the sandbox; the default is one of its own. */
  readonly pause?: Pause;
}

/**
 * Puts a running sandbox on record, and serves it. Close the server when the sandbox has ended: requests for its end are
 * answered then.
 * @throws a system error
 */
export async function serveControl(
  sandbox: Sandbox,
  { detached, onStop, pause = new Pause(sandbox.launched) }: ServeOptions,
): Promise<ControlServer> {
  const { state, channel, kernelRelease, screen } = sandbox.launched;
  const options: ServedHostOptions = {
    channel,
    kernelRelease: kernelRelease ?? '',
    answer: (request, lease) => {
      if (request.ask === 'stop') onStop?.();
      return answer(sandbox, request, { lease, pause });
    },
  };
  return serveIn(state.path, recordOf(sandbox, detached), options, screen);
}

/**
 * Serves in a state directory. All is done by its descriptor: when the sandbox has ended, the path may be another's, and
 * Node.js removes the socket when the server closes.
 * @param screen of the sandbox, whose size is kept on record
 * @throws a system error
 */
export async function serveIn(
  stateDirectory: string,
  record: SandboxRecord,
  options: ServedHostOptions,
  screen?: Pick<HeldScreen, 'onSize'> | undefined,
): Promise<ControlServer> {
  return listenIn(stateDirectory, options, (directory) => {
    // Who finds the record can connect.
    writeRecord(directory, record);
    return screen?.onSize((size) => {
      const resized = { ...record, screen: { ...record.screen, ...size } };
      // Where there is no room for it, the one before stays.
      valueOr(() => writeRecord(directory, resized), undefined);
    });
  });
}

/**
 * Listens in a state directory.
 * @param listening called when hosts can connect, with a path of the directory; what it returns is called when that path
 *   is one no more
 * @throws a system error, and what `listening` throws
 */
export async function listenIn(
  stateDirectory: string,
  options: ServedHostOptions,
  listening: (directory: string) => (() => void) | undefined,
  most = MOST_HOSTS,
): Promise<ControlServer> {
  const fd = openSync(stateDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  const directory = `/proc/self/fd/${fd}`;
  let server: ControlServer | undefined;
  let leave: (() => void) | undefined;
  const close = async () => {
    await server?.close();
    leave?.();
    closeSync(fd);
  };
  try {
    server = await listen(`${directory}/${CONTROL_SOCKET}`, options, most);
    leave = listening(directory);
  } catch (error) {
    await close();
    throw error;
  }
  const listener = server;
  let closing: Promise<void> | undefined;
  return {
    get hosts() {
      return listener.hosts;
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** What is put on record of a sandbox that runs. */
export function recordOf({ launched }: Pick<Sandbox, 'launched'>, detached: boolean): SandboxRecord {
  const { config, name, platform, connection, guest } = launched;
  return {
    version: 1,
    name,
    uuid: config.uuid ?? randomUUID(),
    pid: process.pid,
    created: new Date().toISOString(),
    platform,
    connection: connection.kind,
    acceleration: launched.acceleration,
    boot: launched.boot,
    image: launched.image,
    kernel: launched.kernelRelease,
    memory: config.memory,
    vcpus: config.vcpus,
    command: config.command,
    detached,
    root: config.root.type === 'directory' ? config.root.path : (config.root.stored?.path ?? '/'),
    rootImage: config.root.type === 'image' ? rootText(config.root) : undefined,
    screen: launched.screen && {
      width: launched.screen.width,
      height: launched.screen.height,
      vncSocket: launched.screen.vncSocket,
      spiceSocket: launched.screen.spiceSocket,
      listening: launched.screen.listening,
    },
    mounts: config.mounts.map((mount) => ({
      type: mount.type,
      target: mount.target,
      source: 'source' in mount ? mount.source : undefined,
    })),
    overlay: recordedOverlay(guest, () => unseenPaths(config, platform)) ?? null,
    guest: recordedGuest(guest),
  };
}

/**
 * Listens on a Unix socket for hosts of this user, and root.
 * @throws a system error
 */
export async function listen(path: string, options: ServedHostOptions, most = MOST_HOSTS): Promise<ControlServer> {
  const hosts = new Set<ServedHost>();
  const server = createServer((socket) => {
    void admit(socket).then((isAdmitted) => {
      if (!isAdmitted) return;
      const host = new ServedHost(socket, options);
      hosts.add(host);
      socket.once('close', () => hosts.delete(host));
    });
  });
  server.maxConnections = most;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // A later failure, as to accept, is no reason to end.
  server.on('error', () => {});
  try {
    chmodSync(path, 0o600);
  } catch (error) {
    await close(server, hosts);
    throw error;
  }
  return {
    get hosts() {
      return hosts.size;
    },
    close: () => close(server, hosts),
  };
}

/** Nothing is read from others. */
async function admit(socket: Socket): Promise<boolean> {
  socket.on('error', () => {});
  if (await isOfOwner(socket)) return true;
  socket.destroy();
  return false;
}

async function close(server: Server, hosts: ReadonlySet<ServedHost>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const host of hosts) void host.end();
  if (await settlesWithin(closed, LAST_WORDS_MS)) return;
  // Who has the application may read its last output as slowly as of a sandbox of its own.
  for (const host of hosts) if (!host.hadApplication) host.destroy();
  await closed;
}

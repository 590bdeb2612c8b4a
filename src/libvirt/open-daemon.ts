/** Connects to the daemon of libvirt that has a driver, and starts that of a session. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isOutOfFiles, isSystemError, messageOf } from '../util/errors.js';
import { connectError, silentError } from './connect-errors.js';
import { type DaemonKind, URI } from './connection.js';
import { daemonSockets } from './daemon-sockets.js';
import { CallError, DaemonClient } from './rpc/client.js';
import { startSessionDaemon } from './session-daemon.js';
import { fitsSocket } from './socket-path.js';

/**
 * How long a daemon may take to accept a connection, in milliseconds. Even a session daemon that is started for it
 * takes only 100.
 */
const ANSWER_MS = 10_000;

/** How often to try whether a daemon that was started listens, in milliseconds. */
const AGAIN_MS = 10;

/** How long another daemon, for which ours has ended at once, may take to listen, in milliseconds. */
const OTHER_MS = 1000;

/** Nobody listens on a socket: it is not there, or its daemon is gone. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/** Where to connect to, and until when. */
interface Attempt {
  readonly paths: readonly string[];
  readonly uri: string;
  readonly cancelled: AbortSignal;
}

/** @throws {SandboxError} `libvirt-unreachable`, `libvirt-silent` */
export async function openDaemon(kind: DaemonKind): Promise<DaemonClient> {
  const uri = URI[kind];
  const paths = daemonSockets(kind);
  if (kind === 'session') refuseSession(uri, paths);
  const cancel = new AbortController();
  const timer = setTimeout(() => cancel.abort(), ANSWER_MS);
  const attempt = { paths, uri, cancelled: cancel.signal };
  try {
    const client = (await openAny(attempt)) ?? (kind === 'session' ? await startAndOpen(attempt) : undefined);
    if (client !== undefined) return client;
  } catch (error) {
    if (cancel.signal.aborted) throw silentError(uri, ANSWER_MS);
    const isDaemons = error instanceof CallError || isSystemError(error);
    if (isDaemons && !isOutOfFiles(error)) throw connectError(uri, messageOf(error));
    throw error;
  } finally {
    clearTimeout(timer);
  }
  throw connectError(uri, `no daemon listens on ${paths.join(' or ')}`);
}

/** libvirt has no session for root. Root's environment may be another user's, and with it the sockets. */
function refuseSession(uri: string, paths: readonly string[]): void {
  if (process.geteuid?.() === 0) throw connectError(uri, 'root has no session');
  const long = paths.find((path) => !fitsSocket(path));
  if (long !== undefined) throw connectError(uri, `${long} is longer than the path of a socket may be`);
}

/** @returns undefined if nobody listens on any of the sockets */
async function openAny({ paths, uri, cancelled }: Attempt): Promise<DaemonClient | undefined> {
  for (const path of paths) {
    try {
      return await DaemonClient.open(path, uri, cancelled);
    } catch (error) {
      if (!isSystemError(error) || !NOBODY.has(error.code ?? '')) throw error;
    }
  }
  return undefined;
}

/**
 * Starts the daemon of a session, and connects to it.
 * @returns undefined if none can be started
 * @throws {CallError} if it does not listen
 */
async function startAndOpen(attempt: Attempt): Promise<DaemonClient | undefined> {
  const started = startSessionDaemon();
  if (started === undefined) return undefined;
  for (let left = OTHER_MS / AGAIN_MS; left > 0; ) {
    await sleep(AGAIN_MS);
    const client = await openAny(attempt);
    if (client !== undefined) return client;
    if (started.end() !== undefined) left -= 1;
  }
  throw new CallError(0, `${started.program} was started and does not listen: ${started.end() ?? 'it waits'}`);
}

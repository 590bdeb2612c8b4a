/** Connects to the daemon of libvirt that has a driver, and starts that of a session. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isOutOfFiles, isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { type DaemonKind, URI } from './connection.js';
import { daemonSockets } from './daemon-sockets.js';
import { connectError, silentError } from './errors.js';
import { CallError, DaemonClient } from './rpc/client.js';
import { startSessionDaemon } from './session-daemon.js';

/**
 * How long a daemon may take to accept a connection, in milliseconds. Even a session daemon that is started for it
 * takes only 100.
 */
const ANSWER_MS = 10_000;

/** How often to try whether a daemon that was started listens, in milliseconds. */
const AGAIN_MS = 10;

/** Nobody listens on a socket: it is not there, or its daemon is gone. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/** @throws {SandboxError} `libvirt-unreachable`, `libvirt-silent` */
export async function openDaemon(kind: DaemonKind): Promise<DaemonClient> {
  const uri = URI[kind];
  const cancel = new AbortController();
  const timer = setTimeout(() => cancel.abort(), ANSWER_MS);
  try {
    const paths = daemonSockets(kind);
    let client = await openAny(paths, uri, cancel.signal);
    if (client === undefined && kind === 'session' && startSessionDaemon()) {
      while (client === undefined && !cancel.signal.aborted) {
        await sleep(AGAIN_MS);
        client = await openAny(paths, uri, cancel.signal);
      }
    }
    if (client !== undefined) return client;
    throw connectError(uri, `no daemon listens on ${paths.join(' or ')}`);
  } catch (error) {
    if (cancel.signal.aborted) throw silentError(uri, ANSWER_MS);
    if (error instanceof SandboxError) throw error;
    const isDaemons = error instanceof CallError || isSystemError(error);
    if (isDaemons && !isOutOfFiles(error)) throw connectError(uri, messageOf(error));
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @returns undefined if nobody listens on any of the sockets */
async function openAny(
  paths: readonly string[],
  uri: string,
  cancelled: AbortSignal,
): Promise<DaemonClient | undefined> {
  for (const path of paths) {
    try {
      return await DaemonClient.open(path, uri, cancelled);
    } catch (error) {
      if (!isSystemError(error) || !NOBODY.has(error.code ?? '')) throw error;
    }
  }
  return undefined;
}

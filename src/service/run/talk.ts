/** Talks to the process that holds a service, and to the sandbox that it runs in. */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CONTROL_SOCKET, type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { Channel } from '../../protocol/channel.js';
import { connectTo } from '../../sandbox/state/connect-to.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { findHolder, type Holder, removeDeadClaim } from './claim.js';
import { holderSilent, notRunning } from './errors.js';

/** Between two attempts, in milliseconds. */
const INTERVAL_MS = 50;

/** How long a holder may take beside the time that a service has to end, in milliseconds. */
const GRACE_MS = 15_000;

/** How long a killed process may take to be gone, in milliseconds. */
const KILLED_MS = 10_000;

/**
 * Stops a service. Resolves when another process can start it. A holder that does not do so in time is killed: its
 * supervisor removes what is left of the sandbox.
 * @param timeout milliseconds that the program may take
 * @returns false if it did not run
 * @throws {SandboxError} `service-not-answering`
 */
export async function stopHolder(name: string, timeout: number): Promise<boolean> {
  const holder = findHolder(name);
  if (holder === undefined) {
    await removeDeadClaim(name);
    return false;
  }
  const signal = AbortSignal.timeout(timeout + GRACE_MS);
  try {
    await unlessAborted(askToStop(name, holder, timeout, signal), signal, (reason) => reason as Error);
  } catch (error) {
    if (!signal.aborted && !(error instanceof SandboxError) && !isSystemError(error)) throw error;
    // It has ended meanwhile, or it does not answer.
    if (signal.aborted) kill(name, holder);
  }
  await untilGone(name, holder);
  await removeDeadClaim(name);
  return true;
}

async function askToStop(name: string, holder: Holder, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const socket = await connected(name, holder, signal);
  if (socket === undefined) return;
  signal.addEventListener('abort', () => socket.destroy(), { once: true });
  const { channel } = await Channel.open(socket);
  const request = JSON.stringify({ ask: 'stop', timeoutMs });
  try {
    await channel.call({ op: 'control', request }, { tolerate: true });
  } finally {
    channel.destroy();
  }
}

/** A holder that has just begun does not listen yet. Undefined: it is gone. */
async function connected(name: string, { owner, directory }: Holder, signal: AbortSignal) {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  for (;;) {
    signal.throwIfAborted();
    if (findHolder(name)?.owner !== owner) return undefined;
    try {
      const fd = openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        return await connectTo(join(`/proc/self/fd/${fd}`, CONTROL_SOCKET), undefined);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
      await delay(INTERVAL_MS, undefined, { signal });
    }
  }
}

/** By its process ID, if that is still the process that holds the service. */
function kill(name: string, { owner, pid }: Holder): void {
  if (findHolder(name)?.owner !== owner) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
  }
}

/** @throws {SandboxError} `service-not-answering` */
async function untilGone(name: string, { owner, pid }: Holder): Promise<void> {
  for (const end = performance.now() + KILLED_MS; findHolder(name)?.owner === owner; await delay(INTERVAL_MS))
    if (performance.now() > end) throw holderSilent(name, pid);
}

/**
 * Connects to the sandbox that a service runs in. One of the same name that is no service is not it.
 * @throws {SandboxError} `service-not-running`, `control-failed`, `not-yours`
 */
export async function connectService(name: string): Promise<ConnectedSandbox> {
  const holder = findHolder(name);
  if (holder === undefined) throw notRunning(name);
  let sandbox: ConnectedSandbox;
  try {
    sandbox = await connectSandbox(name);
  } catch (error) {
    const isGone = error instanceof SandboxError && ['sandbox-not-found', 'sandbox-ended'].includes(error.code);
    throw isGone ? notRunning(name, error) : error;
  }
  if (sandbox.record.pid === holder.pid) return sandbox;
  await sandbox.close();
  throw notRunning(name);
}

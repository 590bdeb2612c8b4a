/** Runs what is to be in a machine when it is saved: a command, until it has ended or says that it is ready. */
import { setTimeout as sleep } from 'node:timers/promises';
import { processOperation } from '../../init/common/application.js';
import { attempt } from '../../init/common/attempt.js';
import type { GuestConfig } from '../../init/common/config.js';
import type { Channel } from '../protocol/channel.js';
import { OperationError } from '../protocol/operations.js';
import type { GuestProcess } from '../protocol/process.js';
import { SandboxError } from '../util/errors.js';
import { unlessAborted } from '../util/promises.js';
import { exitStatusOf } from './exit-status.js';
import type { Session } from './session.js';
import { writeRestored } from './setup/restored.js';
import { spawnError } from './setup/step-errors.js';

/** How it says that it is ready, and goes on. */
export type Readiness =
  /** A file is there. */
  | { readonly kind: 'file'; readonly path: string }
  /** It writes a line that is this one. */
  | { readonly kind: 'line'; readonly text: string };

export interface Preparation {
  /** For `sh -c`. */
  readonly command: string;
  /** Undefined: it is ready when it has ended. */
  readonly ready: Readiness | undefined;
  /** The signal by which it is told that it was restored; undefined: none. */
  readonly notify: number | undefined;
  /** How long it may take, in milliseconds. */
  readonly timeout: number;
}

/** Where it writes: what runs on may write whenever it likes, also when nobody listens any more. */
const LOG = '/run/virt-sandbox/prepare.log';
const SCRIPT = `exec >>${LOG} 2>&1 </dev/null; exec /bin/sh -c "$1"`;

/** Bytes of that file that are looked at, from its beginning. */
const LOG_BYTES = 1 << 20;

/** In milliseconds. */
const LOOK_EACH = 50;

/**
 * @returns the guest's number of its process; undefined: it has ended
 * @throws {SandboxError} `prepare-failed`, `prepare-ended`, `prepare-timeout`, and those of starting a process; the
 *   signal's reason
 */
export async function runPreparation(
  session: Session,
  { channel, guest }: { readonly channel: Channel; readonly guest: GuestConfig },
  preparation: Preparation,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const { command, ready, timeout } = preparation;
  await writeRestored(channel, '');
  const { uid, gid } = guest.identity;
  await channel.call({ op: 'writeFile', path: LOG, mode: 0o644, flags: 0, data: new Uint8Array() });
  await channel.call({ op: 'chown', path: LOG, uid, gid });
  const process = await start(channel, guest, command);
  const late = AbortSignal.timeout(timeout);
  const either = signal === undefined ? late : AbortSignal.any([signal, late]);
  try {
    const work =
      ready === undefined ? untilEnded(session, process) : untilReady(session, channel, process, ready, either);
    await unlessAborted(work, either, (reason) => reason as Error);
  } catch (error) {
    if (signal?.aborted || !late.aborted) throw error;
    throw await failure(session, 'prepare-timeout', `is not ready after ${timeout / 1000} s`);
  }
  return ready === undefined ? undefined : process.number;
}

async function start(channel: Channel, guest: GuestConfig, command: string): Promise<GuestProcess> {
  const argv = ['/bin/sh', '-c', SCRIPT, 'sh', command];
  const config = { ...guest, command: argv, terminal: undefined, timeLimit: undefined };
  const operation = processOperation(config, guest.cwd ?? '/');
  try {
    return (await channel.spawn(operation)).process;
  } catch (error) {
    throw error instanceof OperationError ? spawnError(error, config) : error;
  }
}

async function untilEnded(session: Session, process: GuestProcess): Promise<void> {
  const { exitCode } = exitStatusOf((await process.exited).status);
  if (exitCode !== 0) throw await failure(session, 'prepare-failed', `has ended with status ${exitCode}`);
}

async function untilReady(
  session: Session,
  channel: Channel,
  process: GuestProcess,
  ready: Readiness,
  stopped: AbortSignal,
): Promise<void> {
  let ended: number | undefined;
  process.exited.then(
    ({ status }) => {
      ended = exitStatusOf(status).exitCode;
    },
    () => {},
  );
  while (!stopped.aborted && !(await isReady(session, channel, ready))) {
    if (ended !== undefined)
      throw await failure(session, 'prepare-ended', `has ended with status ${ended} before it was ready`);
    await sleep(LOOK_EACH);
  }
}

async function isReady(session: Session, channel: Channel, ready: Readiness): Promise<boolean> {
  if (ready.kind === 'file')
    return (await attempt(channel, { op: 'stat', path: ready.path, follow: true })) !== undefined;
  return (await linesOf(session)).includes(ready.text);
}

async function linesOf(session: Session): Promise<string[]> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of session.files.readStream(LOG) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length >= LOG_BYTES) break;
  }
  return Buffer.concat(pieces).subarray(0, LOG_BYTES).toString('utf8').split('\n');
}

async function failure(session: Session, code: string, what: string): Promise<SandboxError> {
  const last = (await linesOf(session).catch((): string[] => [])).findLast((line) => line.trim() !== '');
  return new SandboxError({
    stage: 'image',
    code,
    message: `the preparation ${what}${last === undefined ? '' : `: ${last}`}`,
    remedy: 'try the same command in a sandbox with that root; --prepare-timeout gives it more time',
  });
}

/** The source of a clone or an export, if it runs: stopped and started again, or held still, for as long as its state is copied. */
import { messageOf } from '../../util/errors.js';
import type { LastRun } from '../run/last-run.js';
import { notStartedEither, sourceRuns } from './errors.js';

/** What is done with a source that runs. */
export type WhenRunning = 'refuse' | 'stop' | 'live';

interface StoppableSource {
  /** @throws if it could not be started again */
  checkStop(): Promise<void>;
  stop(): Promise<void>;
  /** How it runs, or ran when it is stopped. */
  run(): LastRun;
}

/** A service that runs. */
export interface RunningSource extends AsyncDisposable, StoppableSource {
  /** Nothing inside runs until it is released, or this process ends. `since`: as performance.now() has it. */
  holdStill(signal?: AbortSignal): Promise<{ readonly since: number; release(): Promise<void> }>;
}

/** How services are found, and started. */
export interface SourceControl {
  /** Undefined: it does not run. */
  connect(name: string, signal?: AbortSignal): Promise<RunningSource | undefined>;
  /** As it ran. Nobody has its lock. */
  start(name: string, ran: LastRun): Promise<void>;
}

/** How the source was while it was copied. */
export interface SourceTold {
  /** Milliseconds for which it stood still, or was stopped. */
  readonly standstill?: number;
  /** Why it does not run again. */
  readonly startFailure?: string;
}

export interface SourceCopy {
  readonly name: string;
  readonly whenRunning: WhenRunning;
  readonly control: SourceControl;
  readonly signal?: AbortSignal | undefined;
  /** Looks whether the state can be copied. */
  readonly check: (isRunning: boolean) => void;
  readonly copy: (isRunning: boolean) => Promise<void>;
  /** Lets the lock of the source go. */
  readonly unlock: () => Promise<void>;
  /** What is on record of its stop, for those who find it stopped. */
  readonly stop: StopRecord;
}

export interface StopRecord {
  /** How it ran until somebody stopped it who was killed; undefined: nobody did. */
  readonly left: LastRun | undefined;
  record(ran: LastRun): Promise<void>;
  forget(): Promise<void>;
}

/**
 * Copies the state while nothing changes it.
 * @throws {SandboxError} `service-running`, and what `check`, `copy` and the control throw
 */
export async function copyFromSource(work: SourceCopy): Promise<SourceTold> {
  const { name, whenRunning, control, signal, check, copy, unlock } = work;
  await using running = await control.connect(name, signal);
  if (running !== undefined && whenRunning === 'refuse') throw sourceRuns(name);
  const isHeld = running !== undefined && whenRunning === 'live';
  check(running !== undefined);
  if (running === undefined) {
    const { left } = work.stop;
    if (left !== undefined)
      return copyStopped({ checkStop: async () => {}, stop: async () => {}, run: () => left }, work);
    await copy(false);
    await unlock();
    return {};
  }
  // The connection is needed until then.
  return isHeld ? await copyLive(running, work) : await copyStopped(running, work);
}

async function copyLive(running: RunningSource, { signal, copy, unlock }: SourceCopy): Promise<SourceTold> {
  const stillness = await running.holdStill(signal);
  try {
    await copy(true);
  } finally {
    await stillness.release();
  }
  const standstill = performance.now() - stillness.since;
  await unlock();
  return { standstill };
}

/** It runs again whatever becomes of the clone. */
async function copyStopped(source: StoppableSource, work: SourceCopy): Promise<SourceTold> {
  const { check, copy, stop } = work;
  const since = performance.now();
  let failure: unknown;
  await source.checkStop();
  await stop.record(source.run());
  try {
    await source.stop();
    check(false);
    await copy(false);
  } catch (error) {
    failure = error ?? new Error('it failed');
  }
  const startFailure = await startAgain(work, source.run());
  // Whoever has called it is told, whatever came of it. A record that stays says too much, and a start settles it.
  await stop.forget().catch(() => {});
  const standstill = performance.now() - since;
  if (failure === undefined) return startFailure === undefined ? { standstill } : { standstill, startFailure };
  throw startFailure === undefined ? failure : notStartedEither(work.name, failure, startFailure);
}

/** @returns why it does not run; undefined: it does */
async function startAgain({ name, control, unlock }: SourceCopy, ran: LastRun): Promise<string | undefined> {
  try {
    await unlock();
    await control.start(name, ran);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

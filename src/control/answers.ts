/** What the holder of a sandbox does when it is asked to. */
import { constants } from 'node:os';
import { HALT_NOW } from '../../init/common/systemd-scripts.js';
import type { SandboxConfig } from '../config/types.js';
import { TIMED_OUT_STATUS } from '../sandbox/exit-status.js';
import type { Launched } from '../sandbox/launched.js';
import type { ProcessExit } from '../sandbox/process/types.js';
import { SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import type { Pause } from './pause.js';
import { type Ending, endingOf, failedEnding } from './requests.js';
import { type ForHolder, Refusal } from './serving.js';
import { statsOf } from './stats.js';

const { SIGTERM, SIGKILL } = constants.signals;

/** How long a killed application may take to end, in milliseconds. */
const KILLED_MS = 2000;

/** Of the time until it is killed, so much is left when it is asked once more. */
const LAST_PART = 1 / 4;
const MOST_LAST_MS = 5000;

/** A sandbox that is served, and its application. */
export interface Served {
  readonly launched: Launched;
  /** It has no application. */
  readonly isIdle: boolean;
  /** Settles when the application has ended. */
  readonly ending: Promise<unknown>;
  /** How the application ended; settles when nothing of the sandbox is left. */
  readonly exited: Promise<ProcessExit>;
  kill(signal: number): Promise<void>;
  stop(): Promise<void>;
}

/** What a request is answered with besides the sandbox. */
export interface Answering {
  /** Aborts when the connection of the host ends. */
  readonly lease: AbortSignal;
  /** Of the sandbox. */
  readonly pause: Pause;
}

/** @throws {Refusal} */
export async function answer(sandbox: Served, request: ForHolder, { lease, pause }: Answering): Promise<unknown> {
  switch (request.ask) {
    case 'stop':
      await stopServed(sandbox, request.timeoutMs);
      return {};
    case 'wait':
      return endingOfSandbox(sandbox);
    case 'kill':
      await kill(sandbox, request.signal);
      return {};
    case 'stats':
      return statsOf(sandbox.launched);
    case 'input':
      if (sandbox.launched.screen === undefined) throw new Refusal(constants.errno.ENODEV, 'it has no screen');
      await sandbox.launched.screen.enter(request.inputs);
      return {};
    case 'resizeScreen':
      if (sandbox.launched.screen === undefined) throw new Refusal(constants.errno.ENODEV, 'it has no screen');
      await sandbox.launched.screen.resize(request);
      return {};
    case 'pause':
      await pause.begin(lease);
      return {};
    case 'resume':
      await pause.end(lease);
      return {};
    default:
      throw new Refusal(constants.errno.EINVAL, 'control: a sandbox has no such request');
  }
}

/**
 * Asks the application to end, once more shortly before the time is over, and kills it then. Resolves when nothing is
 * left, whatever the end was: who wants to know waits.
 */
export async function stopServed(sandbox: Served, timeout: number): Promise<void> {
  if (sandbox.isIdle || !(await endsBySignal(sandbox, timeout))) await sandbox.stop();
  else await sandbox.exited.catch(() => {});
}

/** What asks the application to end. That of an image is for its own command. */
export function stopSignalOf({ root, service }: SandboxConfig): number {
  if (service?.type === 'systemd') return SIGTERM;
  return (root.type === 'image' ? root.stored?.stopSignal : undefined) ?? SIGTERM;
}

async function endsBySignal(sandbox: Served, timeout: number): Promise<boolean> {
  const { config } = sandbox.launched;
  const lastSignal = lastSignalOf(config);
  const last = lastSignal === undefined ? 0 : Math.min(timeout * LAST_PART, MOST_LAST_MS);
  void sandbox.kill(stopSignalOf(config));
  if (await settlesWithin(sandbox.ending, timeout - last)) return true;
  if (lastSignal !== undefined) {
    void sandbox.kill(lastSignal);
    if (await settlesWithin(sandbox.ending, last)) return true;
  }
  void sandbox.kill(SIGKILL);
  return settlesWithin(sandbox.ending, KILLED_MS);
}

/** What it gets shortly before it is killed. A second SIGTERM makes some programs end without their work done. */
function lastSignalOf(config: SandboxConfig): number | undefined {
  if (config.service?.type === 'systemd') return HALT_NOW;
  return stopSignalOf(config) === SIGTERM ? undefined : SIGTERM;
}

async function kill(sandbox: Served, signal: number): Promise<void> {
  if (!sandbox.isIdle) await sandbox.kill(signal);
  else if (signal === SIGKILL) await sandbox.stop();
  else throw new Refusal(constants.errno.EINVAL, 'the sandbox has no application that a signal could go to');
}

async function endingOfSandbox(sandbox: Served): Promise<Ending> {
  try {
    const exit = await sandbox.exited;
    return endingOf(exit.timedOut ? { ...exit, exitCode: TIMED_OUT_STATUS } : exit);
  } catch (error) {
    if (error instanceof SandboxError) return failedEnding(error);
    throw error;
  }
}

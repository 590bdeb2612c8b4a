/** What the holder of a sandbox does when it is asked to. */
import { constants } from 'node:os';
import { TIMED_OUT_STATUS } from '../sandbox/exit-status.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { type Ending, endingOf, failedEnding, Refusal } from './requests.js';
import type { ForHolder } from './served-host.js';
import { statsOf } from './stats.js';

const { SIGTERM, SIGKILL } = constants.signals;

/** How long a killed application may take to end, in milliseconds. */
const KILLED_MS = 2000;

/** @throws {Refusal} */
export async function answer(sandbox: Sandbox, request: ForHolder): Promise<unknown> {
  switch (request.ask) {
    case 'stop':
      await stop(sandbox, request.timeoutMs);
      return {};
    case 'wait':
      return endingOfSandbox(sandbox);
    case 'kill':
      await kill(sandbox, request.signal);
      return {};
    case 'stats':
      return statsOf(sandbox.launched);
  }
}

/** Resolves when nothing is left, whatever the end was: who wants to know waits. */
async function stop(sandbox: Sandbox, timeout: number): Promise<void> {
  if (sandbox.isIdle || !(await endsBySignal(sandbox, timeout))) await sandbox.stop();
  else await sandbox.exited.catch(() => {});
}

async function endsBySignal(sandbox: Sandbox, timeout: number): Promise<boolean> {
  void sandbox.kill(SIGTERM);
  if (await settlesWithin(sandbox.ending, timeout)) return true;
  void sandbox.kill(SIGKILL);
  return settlesWithin(sandbox.ending, KILLED_MS);
}

async function kill(sandbox: Sandbox, signal: number): Promise<void> {
  if (!sandbox.isIdle) await sandbox.kill(signal);
  else if (signal === SIGKILL) await sandbox.stop();
  else throw new Refusal(constants.errno.EINVAL, 'the sandbox has no application that a signal could go to');
}

async function endingOfSandbox(sandbox: Sandbox): Promise<Ending> {
  try {
    const exit = await sandbox.exited;
    return endingOf(exit.timedOut ? { ...exit, exitCode: TIMED_OUT_STATUS } : exit);
  } catch (error) {
    if (error instanceof SandboxError) return failedEnding(error);
    throw error;
  }
}

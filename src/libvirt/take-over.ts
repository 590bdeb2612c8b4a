/** Another supervisor, which does the work of one that is gone or does not answer. docs/life.md */
import { spawn } from 'node:child_process';
import { messageOf, SandboxError } from '../util/errors.js';
import { hostProgram } from '../util/programs.js';
import { settlesWithin } from '../util/promises.js';
import { REMOVAL_LASTS, REMOVAL_REFUSED, REMOVED } from './removal-status.js';

/** Most characters of its reason that are kept. */
const REASON_CHARACTERS = 16_384;

/** How long it may take, in milliseconds: more than by its own limits, 30 s. */
const TAKE_OVER_MS = 35_000;

/**
 * Ends what is left of this process's own sandbox, and removes its state directory.
 *
 * @throws {SandboxError} `clean-up-failed`, `clean-up-unfinished`
 */
export async function takeOver(directory: string): Promise<void> {
  const child = spawn(hostProgram('supervisor'), ['--take-over', directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    detached: true,
  });
  let reason = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    reason = `${reason}${text}`.slice(-REASON_CHARACTERS);
  });
  const closed = new Promise<number | null>((resolve) => {
    child.once('close', (code) => resolve(code));
    child.once('error', (error) => {
      reason = messageOf(error);
      resolve(null);
    });
  });
  if (!(await settlesWithin(closed, TAKE_OVER_MS))) {
    child.kill('SIGKILL');
    throw leftError(`${directory}: it takes longer than ${TAKE_OVER_MS / 1000} s`, null);
  }
  const status = await closed;
  // Where it was refused, the directory is another sandbox's by now, and that of this process is gone.
  if (status === REMOVED || status === REMOVAL_REFUSED) return;
  throw leftError(reason.trim() || `${directory}: it did not say why`, status);
}

/**
 * The error of a state directory that stays.
 *
 * @param left the path, and why it is left
 * @param status of the process that has not removed it
 */
export function leftError(left: string, status: number | null): SandboxError {
  if (status === REMOVAL_LASTS) {
    return new SandboxError({
      stage: 'domain',
      code: 'clean-up-unfinished',
      message: `the sandbox left so many files that they are still being removed from ${left}`,
      remedy: 'nothing has to be done; a process in the background goes on with it',
    });
  }
  return new SandboxError({
    stage: 'domain',
    code: 'clean-up-failed',
    message: `what is left of the sandbox cannot be removed: ${left}`,
    remedy: "end the processes that have the sandbox's name in their arguments, and remove that path",
  });
}

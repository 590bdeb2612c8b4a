/** Whether a service that runs is well: a command inside says so. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from '../../sandbox/session.js';
import { messageOf, SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';

/** How often it fails in a row before the service is unhealthy. */
export const HEALTH_FAILURES = 3;

/** How long one check may take, in milliseconds. */
const CHECK_MS = 30_000;

/** Until a killed check is given up whose output something holds, in milliseconds. */
const GRACE_MS = 1000;

/** Bytes that a check may write to each of its streams. */
const MOST_OUTPUT = 64 << 10;

/** What one check has found. */
export interface Checked {
  readonly isWell: boolean;
  /** Why not, with the end of what it said. Empty if it is well. */
  readonly said: string;
}

/**
 * Has the shell inside run `words`.
 * @param most time that it may take, in milliseconds
 * @throws {SandboxError} `process-lost` if the sandbox has ended
 * @throws the signal's reason if it aborts
 */
export async function checkHealth(
  sandbox: Pick<Session, 'run'>,
  words: string,
  { most = CHECK_MS, signal }: { readonly most?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Checked> {
  const timeout = Math.max(1, Math.min(most, CHECK_MS));
  const late = AbortSignal.timeout(timeout + GRACE_MS);
  const both = signal === undefined ? late : AbortSignal.any([signal, late]);
  try {
    const options = { timeout, maxBuffer: MOST_OUTPUT, signal: both };
    const { exitCode, timedOut, stdout, stderr } = await sandbox.run(['/bin/sh', '-c', words], options);
    if (exitCode === 0 && !timedOut) return { isWell: true, said: '' };
    return failed(timedOut ? tooSlow(timeout) : `exit status ${exitCode}`, `${stdout}${stderr}`);
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) return failed(tooSlow(timeout), '');
    if (!(error instanceof SandboxError) || error.code === 'process-lost') throw error;
    return failed(messageOf(error), '');
  }
}

function failed(how: string, output: string): Checked {
  const said = output.trim().slice(-SHOWN_CHARACTERS);
  return { isWell: false, said: said === '' ? how : `${how}; it said: ${said}` };
}

function tooSlow(milliseconds: number): string {
  return `it took more than ${milliseconds / 1000} s`;
}

/** What is known of the health of a service. */
export interface Health {
  readonly isWell: boolean;
  /** Failures in a row. */
  readonly failures: number;
  /** Of the last failure. */
  readonly said?: string | undefined;
  /** Of the last check. */
  readonly checked: Date;
}

/**
 * Checks again and again, until the signal aborts or the sandbox has ended.
 * @param report gets each result
 */
export async function watchHealth(
  sandbox: Pick<Session, 'run'>,
  { health, healthInterval }: { readonly health: string; readonly healthInterval: number },
  signal: AbortSignal,
  report: (health: Health) => void,
): Promise<void> {
  let failures = 0;
  try {
    for (;;) {
      await delay(healthInterval, undefined, { signal });
      const { isWell, said } = await checkHealth(sandbox, health, { signal });
      failures = isWell ? 0 : failures + 1;
      const told = isWell ? {} : { said };
      report({ isWell: failures < HEALTH_FAILURES, failures, checked: new Date(), ...told });
    }
  } catch (error) {
    if (signal.aborted || (error instanceof SandboxError && error.code === 'process-lost')) return;
    throw error;
  }
}

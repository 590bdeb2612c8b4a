/** Whether a service that runs is well: a command inside says so, or the systemd inside. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxConfig } from '../../config/types.js';
import type { Session } from '../../sandbox/session.js';
import { messageOf, SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';
import type { Service } from '../types.js';
import { unitStates } from './unit-states.js';
import { isUp } from './units-active.js';

/** How often it fails in a row before the service is unhealthy. */
const HEALTH_FAILURES = 3;

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

/** Looks once. @throws as {@link checkHealth} */
export type Check = (sandbox: Pick<Session, 'run'>, signal: AbortSignal) => Promise<Checked>;

/** What tells whether a service is well; undefined: nothing does, but that its command runs. */
export function checkOf({ config, settings }: Pick<Service, 'config' | 'settings'>): Check | undefined {
  const { health } = settings;
  const words: Check | undefined =
    health === undefined ? undefined : (sandbox, signal) => checkHealth(sandbox, health, { signal });
  const units = unitsOf(config);
  if (units.length === 0) return words;
  return async (sandbox, signal) => {
    const found = await checkUnits(sandbox, units, signal);
    return found.isWell && words !== undefined ? words(sandbox, signal) : found;
  };
}

/** The units that a service is there for; none: it runs a command. */
export function unitsOf({ service }: SandboxConfig): readonly string[] {
  return service?.type === 'systemd' ? service.units : [];
}

async function checkUnits(
  sandbox: Pick<Session, 'run'>,
  units: readonly string[],
  signal: AbortSignal,
): Promise<Checked> {
  const late = AbortSignal.timeout(CHECK_MS);
  const bounded: Pick<Session, 'run'> = {
    run: (command, options) => sandbox.run(command, { ...options, signal: AbortSignal.any([signal, late]) }),
  };
  try {
    const wrong = (await unitStates(bounded, units)).find((state) => !isUp(state));
    if (wrong === undefined) return { isWell: true, said: '' };
    return { isWell: false, said: `the unit ${wrong.unit} is ${wrong.active} (${wrong.sub})` };
  } catch (error) {
    return notWell(error, signal, late);
  }
}

/** @throws `error`, unless it says that the service is not well */
function notWell(error: unknown, signal: AbortSignal | undefined, late: AbortSignal, most = CHECK_MS): Checked {
  signal?.throwIfAborted();
  if (late.aborted) return failed(tooSlow(most), '');
  if (!(error instanceof SandboxError) || error.code === 'process-lost') throw error;
  return failed(messageOf(error), '');
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
    return notWell(error, signal, late, timeout);
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

interface Watch {
  readonly check: Check;
  /** Milliseconds between two checks. */
  readonly interval: number;
  /** A sandbox that is held still, as while it is cloned, cannot say how it is. */
  readonly pause: { readonly isHeld: boolean };
}

/**
 * Checks again and again, until the signal aborts or the sandbox has ended.
 * @param report gets each result
 */
export async function watchHealth(
  sandbox: Pick<Session, 'run'>,
  { check, interval, pause }: Watch,
  signal: AbortSignal,
  report: (health: Health) => void,
): Promise<void> {
  let failures = 0;
  try {
    for (;;) {
      await delay(interval, undefined, { signal });
      if (pause.isHeld) continue;
      const { isWell, said } = await check(sandbox, signal);
      if (!isWell && pause.isHeld) continue;
      failures = isWell ? 0 : failures + 1;
      const told = isWell ? {} : { said };
      report({ isWell: failures < HEALTH_FAILURES, failures, checked: new Date(), ...told });
    }
  } catch (error) {
    if (signal.aborted || (error instanceof SandboxError && error.code === 'process-lost')) return;
    throw error;
  }
}

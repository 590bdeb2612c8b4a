/** Waits for units of the systemd in a sandbox, and has them read their settings again. */
import { type SandboxError, SHOWN_CHARACTERS } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { failureOf } from './unit-failure.js';
import { printable, readStates, SHOW, type SystemdSandbox, type UnitState } from './unit-states.js';

/** How many lines of the journal an error has. */
const SHOWN_LINES = 10;

/** Of all that systemctl and journalctl say. */
const MOST_BYTES = 1 << 20;

/**
 * Systemd starts the units at its own start. `systemctl start` would start one again that has failed meanwhile, so this
 * waits for the end of all jobs. One command does: each takes an emulated processor a tenth of a second.
 */
const WAIT = 'systemctl is-system-running --wait >/dev/null; exec "$@"';

/** What is about to be started again, after a failure, is waited for. */
const START = 'units=$1; shift; systemctl start -- $units; exec "$@"';

/**
 * Resolves when the units are active. A command that runs to its end (`Type=oneshot`) may have done so.
 * @param signal gives up
 * @throws {SandboxError} `unit-failed`, `unit-not-loaded`, `unit-inactive`, `systemd-silent`, and what `run` throws
 */
export async function unitsActive(
  sandbox: SystemdSandbox,
  units: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<UnitState[]> {
  if (units.length === 0) return [];
  const ask = async (words: readonly string[]) => {
    const command = ['/bin/sh', '-c', ...words, ...SHOW, ...units];
    const { stdout, stderr } = await sandbox.run(command, { signal, maxBuffer: MOST_BYTES });
    return readStates(stdout, stderr, units);
  };
  let states = await ask([WAIT, 'sh']);
  const late = states.filter(({ active }) => active === 'activating').map(({ unit }) => unit);
  if (late.length > 0) states = await ask([START, 'sh', late.join(' ')]);
  const wrong = states.find((state) => !isUp(state));
  if (wrong !== undefined) throw await errorOf(sandbox, wrong);
  return states;
}

/** Whether a unit is as it is to be. */
export function isUp({ active, result, endsByItself, since, conditionsHold }: UnitState): boolean {
  if (active === 'active' || active === 'reloading' || active === 'refreshing') return true;
  return active === 'inactive' && endsByItself && result === 'success' && since !== undefined && conditionsHold;
}

/**
 * Has units read their settings again, without an interruption.
 * @throws {SandboxError} `unit-not-reloaded`, and what `run` throws
 */
export async function reloadUnits(sandbox: SystemdSandbox, units: readonly string[]): Promise<void> {
  if (units.length === 0) return;
  const { exitCode, stderr } = await sandbox.run(['systemctl', 'reload', '--', ...units], { maxBuffer: MOST_BYTES });
  if (exitCode === 0) return;
  throw serviceError(
    'unit-not-reloaded',
    `${units.join(', ')} cannot be reloaded: ${shown(stderr).replace(/\.$/, '') || `systemctl ended with status ${exitCode}`}`,
    'look whether it is a unit there; one without ExecReload= is restarted with: systemctl restart UNIT',
  );
}

async function errorOf(sandbox: SystemdSandbox, state: UnitState): Promise<SandboxError> {
  const { unit, load } = state;
  if (load !== 'loaded')
    return serviceError(
      'unit-not-loaded',
      `the unit ${unit} cannot be started: it is ${load || 'unknown'}`,
      'look whether the root has it: systemctl list-unit-files; a template needs an instance: NAME@INSTANCE.service',
    );
  const { code, how, remedy } = await failureOf(sandbox, state);
  const lines = await lastLines(sandbox, unit);
  return serviceError(code, `the unit ${unit} ${how}`, remedy).withConsole(
    lines === '' ? [] : ['the journal of the unit ends with:', ...lines.split('\n')],
  );
}

/** The end of a unit's journal, or what there is of it: the error is about the unit. */
async function lastLines(sandbox: SystemdSandbox, unit: string): Promise<string> {
  const words = ['journalctl', '--no-pager', '--quiet', '--output=cat', `--lines=${SHOWN_LINES}`, `--unit=${unit}`];
  const { stdout } = await sandbox.run(words, { maxBuffer: MOST_BYTES });
  return shown(stdout);
}

function shown(text: string): string {
  return printable(text.trim()).slice(-SHOWN_CHARACTERS);
}

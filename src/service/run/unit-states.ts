/** What the systemd in a sandbox says of its units. */
import type { Session } from '../../sandbox/session.js';
import { SHOWN_CHARACTERS } from '../../util/errors.js';
import { serviceError } from '../errors.js';

/** A sandbox with systemd, or a connection to one. */
export type SystemdSandbox = Pick<Session, 'run'>;

/** The state of one unit. What is inside says it, so each text may be any. */
export interface UnitState {
  /** Its name as it was asked for. */
  readonly unit: string;
  /** `loaded`, `not-found`, `masked`, … */
  readonly load: string;
  /** `active`, `activating`, `inactive`, `failed`, … */
  readonly active: string;
  /** `running`, `exited`, `auto-restart`, … */
  readonly sub: string;
  /** `success`, `exit-code`, `timeout`, …; empty: a unit of its type has none. */
  readonly result: string;
  /** Exit status or signal of its main process. */
  readonly mainStatus: number;
  /** As processes inside see it; 0: none. */
  readonly mainPid: number;
  readonly restarts: number;
  /** When the state began; undefined: it never had another. */
  readonly since: Date | undefined;
  /** False: a condition of the unit did not hold, so it was not started. */
  readonly conditionsHold: boolean;
  /** False: it never came to its conditions. What it requires may have failed. */
  readonly wasTried: boolean;
  /** It is a command that runs to its end, and then is inactive. */
  readonly endsByItself: boolean;
}

/** Of all that systemctl says. */
const MOST_BYTES = 1 << 20;

/** Of one value: systemd has no longer ones. */
const MOST_CHARACTERS = 64;

const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'ExecMainStatus',
  'MainPID',
  'NRestarts',
  'StateChangeTimestamp',
  'ConditionResult',
  'ConditionTimestamp',
  'Type',
];

/** The words of a command that says the states of units. */
export const SHOW = ['systemctl', 'show', '--timestamp=unix', `--property=${PROPERTIES.join(',')}`, '--'];

/**
 * The states of units, in their order.
 * @throws {SandboxError} `systemd-silent` if systemd does not say them, and what `run` throws
 */
export async function unitStates(sandbox: SystemdSandbox, units: readonly string[]): Promise<UnitState[]> {
  if (units.length === 0) return [];
  const { stdout, stderr } = await sandbox.run([...SHOW, ...units], { maxBuffer: MOST_BYTES });
  return readStates(stdout, stderr, units);
}

/** @throws {SandboxError} `systemd-silent` */
export function readStates(stdout: string, stderr: string, units: readonly string[]): UnitState[] {
  // One block of lines a unit, with an empty line between.
  const blocks = stdout.trim().split('\n\n');
  if (stdout.trim() === '' || blocks.length !== units.length) {
    const said = printable(stderr.trim().slice(-SHOWN_CHARACTERS));
    throw serviceError(
      'systemd-silent',
      `systemd does not say how its units are${said === '' ? '' : `: ${said}`}`,
      'look into it: virt-sandbox-ctl logs, virt-sandbox-ctl exec NAME -- systemctl',
    );
  }
  return units.map((unit, index) => stateOf(unit, blocks[index] ?? ''));
}

function stateOf(unit: string, block: string): UnitState {
  const found = new Map(
    block.split('\n').map((line) => {
      const end = line.indexOf('=');
      return [line.slice(0, end), printable(line.slice(end + 1, end + 1 + MOST_CHARACTERS))] as const;
    }),
  );
  const text = (key: string) => found.get(key) ?? '';
  // Systemd says `no` of a unit whose conditions it has never looked at, too.
  const wasTried = timeOf(text('ConditionTimestamp')) !== undefined;
  return {
    unit,
    load: text('LoadState'),
    active: text('ActiveState'),
    sub: text('SubState'),
    result: text('Result'),
    mainStatus: whole(text('ExecMainStatus')),
    mainPid: whole(text('MainPID')),
    restarts: whole(text('NRestarts')),
    since: timeOf(text('StateChangeTimestamp')),
    conditionsHold: text('ConditionResult') !== 'no' || !wasTried,
    wasTried,
    endsByItself: text('Type') === 'oneshot',
  };
}

function whole(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** `@1795995142`, in seconds. */
function timeOf(text: string): Date | undefined {
  const seconds = whole(text.replace(/^@/, ''));
  const date = new Date(seconds * 1000);
  return seconds === 0 || Number.isNaN(date.getTime()) ? undefined : date;
}

/** What is inside wrote it, and a terminal may show it. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => (character === '\n' ? character : '?'));
}

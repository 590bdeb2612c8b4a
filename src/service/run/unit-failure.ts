/** Why a unit is not active: what systemd has recorded of its start, as a sentence. */
import { printable, type SystemdSandbox, type UnitState } from './unit-states.js';

/** Of all that systemctl says. */
const MOST_BYTES = 1 << 20;

/** Of a command that a sentence names. */
const MOST_CHARACTERS = 80;

/** The commands of units. */
const COMMANDS = [
  ...['ExecCondition', 'ExecStartPre', 'ExecStart', 'ExecStartPost', 'ExecStop', 'ExecStopPre', 'ExecStopPost'],
  ...['ExecMount', 'ExecUnmount', 'ExecActivate', 'ExecDeactivate'],
];

const BEFORE_START = ['ExecCondition', 'ExecStartPre'];

const PROPERTIES = [...COMMANDS, 'AssertResult', 'AssertTimestamp'];

/** Arguments may have line feeds: systemctl shows them as they are. */
const COMMAND =
  /^(Exec[A-Za-z]+)=\{ path=[^ \n]* ; argv\[\]=([\s\S]*) ; ignore_errors=(yes|no) ; start_time=\[([^\]\n]{0,64})\] ; stop_time=\[([^\]\n]{0,64})\] ; pid=\d+ ; code=(\(null\)|[a-z]+) ; status=(\d{1,10})(?:\/([A-Z0-9+]*))? \}(?:\nAssert[A-Za-z]+=[^\n]*)*\s*$/;

/** How a command of a unit went, last time. */
interface CommandState {
  readonly property: string;
  readonly text: string;
  readonly isIgnored: boolean;
  readonly hasRun: boolean;
  /** As a text that sorts by time. */
  readonly ended: string;
  /** `exited`, `killed`, `dumped`; `(null)`: it has not ended. */
  readonly code: string;
  readonly status: number;
  /** `KILL` */
  readonly signal: string | undefined;
}

/** How a unit failed, for an error. */
export interface Failure {
  readonly code: 'unit-failed' | 'unit-inactive';
  /** What follows `the unit NAME`. */
  readonly how: string;
  readonly remedy: string;
}

/** @throws what `run` throws */
export async function failureOf(sandbox: SystemdSandbox, state: UnitState): Promise<Failure> {
  const { unit, active, sub, result, restarts, wasTried } = state;
  const words = ['systemctl', 'show', '--timestamp=us+utc', `--property=${PROPERTIES.join(',')}`, '--', unit];
  const { stdout } = await sandbox.run(words, { maxBuffer: MOST_BYTES });
  const commands = commandsIn(stdout);
  const unmet = unmetIn(stdout, commands, state);
  if (unmet !== undefined)
    return {
      code: 'unit-inactive',
      how: `was not started: ${unmet} does not hold`,
      remedy: 'see Condition…=, Assert…= and ExecCondition= in the unit; what they ask for may be on the host alone',
    };
  const remedy =
    'look what it needs of the root that a sandbox does not have; virt-sandbox-service logs NAME has what systemd said';
  if (active === 'failed') {
    const again = restarts === 0 ? '' : `, after ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`;
    return { code: 'unit-failed', how: `failed: ${result}${detailOf(result, commands)}${again}`, remedy };
  }
  const why = wasTried ? `is ${active} (${sub}), and not active` : 'was not started: what it requires may have failed';
  return { code: 'unit-inactive', how: why, remedy };
}

/** What systemd looks at before it starts a unit, and found wanting. */
function unmetIn(text: string, commands: readonly CommandState[], state: UnitState): string | undefined {
  if (state.active !== 'inactive') return undefined;
  // Systemd says of it that a condition does not hold, too.
  const asked = commands.find(
    ({ property, status, isIgnored }) => property === 'ExecCondition' && status !== 0 && !isIgnored,
  );
  if (asked !== undefined) return `ExecCondition=${asked.text}`;
  if (!state.conditionsHold) return 'one of its conditions';
  const hasAssert = /^AssertResult=no$/m.test(text) && /^AssertTimestamp=.*\d/m.test(text);
  return hasAssert ? 'one of its asserts' : undefined;
}

function commandsIn(text: string): CommandState[] {
  const found = text.split(/^(?=Exec[A-Za-z]+=\{ path=)/m).flatMap((part) => {
    const [, property = '', words = '', ignored, started, ended = '', code = '', status, signal] =
      COMMAND.exec(part) ?? [];
    if (!COMMANDS.includes(property)) return [];
    const oneLine = printable(words.slice(0, 2 * MOST_CHARACTERS).replaceAll(/\s+/g, ' '));
    const text = oneLine.length > MOST_CHARACTERS ? `${oneLine.slice(0, MOST_CHARACTERS)}…` : oneLine;
    const hasRun = started !== 'n/a' && started !== '';
    return [
      {
        ...{ property, text, isIgnored: ignored === 'yes', hasRun, code, status: Number(status), signal },
        // Mon 2026-11-30 06:37:22.104512 UTC
        ended: ended.replace(/^\S+ /, ''),
      },
    ];
  });
  // What has failed first makes systemd end the others, which may end with any status.
  return found.toSorted((a, b) => (a.ended < b.ended ? -1 : Number(a.ended > b.ended)));
}

/** The status or signal, and whose. A result of another kind has none: the process may have ended well. */
function detailOf(result: string, commands: readonly CommandState[]): string {
  const counted = commands.filter(({ isIgnored }) => !isIgnored);
  if (result === 'timeout') {
    const last = commands.findLast(({ property, hasRun }) => hasRun && BEFORE_START.includes(property));
    return commands.some(({ property, hasRun }) => hasRun && property === 'ExecStart') ? '' : whose(last);
  }
  if (result === 'exit-code') {
    const failed = counted.find(({ code, status }) => code === 'exited' && status !== 0);
    return failed === undefined ? '' : `, status ${failed.status}${whose(failed)}`;
  }
  if (result !== 'signal' && result !== 'core-dump') return '';
  const killed = counted.find(({ code }) => code === (result === 'signal' ? 'killed' : 'dumped'));
  return killed === undefined ? '' : `, ${signalOf(killed)}${whose(killed)}`;
}

function signalOf({ signal, status }: CommandState): string {
  return signal === undefined ? `signal ${status}` : `SIG${signal}`;
}

/** That of the main process is said without. */
function whose(command: CommandState | undefined): string {
  return command === undefined || command.property === 'ExecStart' ? '' : ` of ${command.property}=${command.text}`;
}

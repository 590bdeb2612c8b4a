/** The program kill-at: its words, and what its log says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { valueOr } from '../../../src/util/errors.js';
import { unlessProgram } from '../images.js';
import { REPOSITORY } from '../run.js';

const SOURCE = `${REPOSITORY}test/helpers/killing/kill-at.c`;
const TABLE = `${REPOSITORY}test/helpers/killing/kill-at-calls.h`;
const PROGRAM = `${REPOSITORY}build/test/programs/kill-at`;

/** What kill-at(1) does: its source has the table of calls. */
export interface KillAt {
  /** System calls that count. */
  readonly calls: readonly string[];
  /** Others that are in the log, too. */
  readonly logged?: readonly string[];
  /** The number of the call at which its process is killed; undefined: none is. */
  readonly when?: number | undefined;
  readonly isAlone?: boolean | undefined;
  readonly log?: string | undefined;
}

/** The words in front of a program, or of `-p` and the ID of a process. */
export function killAtWords({ calls, logged = [], when, isAlone = false, log }: KillAt): string[] {
  return [
    built(),
    ...['-c', calls.join()],
    ...(logged.length > 0 ? ['-t', logged.join()] : []),
    ...(when === undefined ? [] : ['-n', String(when)]),
    ...(isAlone ? ['-a'] : []),
    ...(log === undefined ? [] : ['-l', log]),
  ];
}

/** Whether a process was killed, as the log says. */
export function hasKilled(log: string): boolean {
  return /^\d+ killed$/m.test(readFileSync(log, 'latin1'));
}

/** How often each call was made. */
export function countsIn(log: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [, call = ''] of readFileSync(log, 'latin1').matchAll(/^\d+ (\w+)/gm))
    counts.set(call, (counts.get(call) ?? 0) + 1);
  return counts;
}

/** A reason to skip, or false if processes can be traced here. */
export function unlessKillAt(): string | false {
  const missing = unlessProgram('gcc');
  if (missing !== false) return missing;
  const { status, stderr } = spawnSync(built(), ['-c', 'rename', 'true'], { encoding: 'utf8' });
  return status === 0 ? false : `processes cannot be traced here: ${stderr}`;
}

/** Its path. It is compiled where it is older than its source; files of tests may do so side by side. */
function built(): string {
  const age = (path: string) => valueOr(() => statSync(path).mtimeMs, 0);
  if (age(PROGRAM) > Math.max(age(SOURCE), age(TABLE))) return PROGRAM;
  mkdirSync(dirname(PROGRAM), { recursive: true });
  const draft = `${PROGRAM}.${process.pid}`;
  const words = ['-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', draft, SOURCE];
  const { status, stderr } = spawnSync('gcc', words, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  // Ordinary users run it, too, whatever the umask is here.
  for (const path of [dirname(PROGRAM), draft]) chmodSync(path, 0o755);
  renameSync(draft, PROGRAM);
  return PROGRAM;
}

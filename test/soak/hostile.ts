/**
 * Scenario `hostile`: root inside a machine speaks to the launcher in the init's place. The launcher ends with a status
 * of its own or of the application's, takes no more memory than it may, and writes no control character of its own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { environment, PROGRAM, REPOSITORY } from '../helpers/run.js';
import { type Driver, type Ground, URIS } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { APPLICATION_STATUS } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { newProcesses, surveyed } from './survey.js';

const ATTACKS = [
  'garbage',
  'huge',
  'tiny',
  'endless',
  'unasked',
  'early',
  'exit-twice',
  'ready-again',
  'strangers',
  'escapes',
  'mixture',
  'console',
  'log',
] as const;
export type Attack = (typeof ATTACKS)[number];

/** These send what the application prints, which is handed on as it is. */
const STREAMS: ReadonlySet<Attack> = new Set(['endless', 'mixture', 'garbage', 'strangers']);

/** These make up an EXIT by chance, which is as good as the application's. */
const ANY_EXIT: ReadonlySet<Attack> = new Set(['mixture', 'garbage']);
/** The statuses of the EXITs that `exit-twice` sends. The first one counts. */
const FIRST_EXITS = [3, 4, 5, 6];

/** What the program says when it has what it attacks. */
const ATTACKING = 'attacking\n';

/** The end of a program whose exception nobody caught. */
const CRASH = /^Node\.js v\d|^ {4}at .+:\d+:\d+\)?$/m;

/** KiB above a launcher that only waits. */
const MEMORY_KIB = 64 << 10;

/** In milliseconds: the start, and the end after an attack. */
const START_MS = 60_000;
const END_MS = 20_000;
/** How much of the beginning of stdout is kept. */
const KEPT = 4096;

/** How long an attack lasts. */
const ATTACK_MS = 1_500;
/** When an attack without an end is ended by SIGTERM. */
const PATIENCE_MS = 4_000;

const LOOK_MS = 10;

/** Text and line ends: no escape, no bell, no 8-bit control. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

export const hostile: Scenario = {
  name: 'hostile',
  what: 'root inside a machine in the place of its init',
  short: 13,
  full: 390,
  run: async ({ ground, seeds, tally }) => {
    const directory = build(ground);
    let most = 0;
    const statuses = new Map<string, number>();
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const attack = ATTACKS[seed % ATTACKS.length] ?? 'garbage';
      const driver = choices.one(['embed', 'system'] as const);
      const isEndless = choices.chance(25);
      const findings = await surveyed(ground, seed, driver, async (name) => {
        const end = await run(name, ground, driver, directory, attack, seed, isEndless);
        most = Math.max(most, end.grown);
        statuses.set(end.status, (statuses.get(end.status) ?? 0) + 1);
        return end;
      });
      tally.ran(seed, `${driver}: ${attack}${isEndless ? ', endless' : ''}`, findings);
    }
    const ends = [...statuses].map(([status, count]) => `status ${status} ${count}`).join(', ');
    return `at most ${(most / 1024).toFixed(1)} MiB above idle; ${ends}`;
  },
};

async function run(
  name: string,
  ground: Ground,
  driver: Driver,
  directory: string,
  attack: Attack,
  seed: number,
  isEndless: boolean,
) {
  const duration = isEndless ? 3_600_000 : ATTACK_MS;
  const script = `echo running >&2; sleep 0.5; /mnt/hostile-guest ${attack} ${seed} ${duration}; exit ${APPLICATION_STATUS}`;
  const args = ['-c', URIS[driver], '-n', name, '-p', '-m', `host-bind:/mnt=${directory},ro`, '--', 'sh', '-c', script];
  // Its output may be endless.
  const child = spawn(PROGRAM, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(ground.optionsOf(driver).env),
  });
  let said = '';
  let attacks = false;
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    said = (said + text).slice(-65_536);
    attacks ||= said.includes(ATTACKING);
  });
  let out = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    if (out.length < KEPT) out += text;
  });
  const closed = once(child, 'close');
  const exited = once(child, 'exit').then(([code, signal]) => ({
    code: code as number | null,
    signal: String(signal),
  }));
  let isOver = false;
  void exited.then(() => {
    isOver = true;
  });
  const until = async (ready: () => boolean, boundMs: number) => {
    for (const deadline = Date.now() + boundMs; !isOver && !ready() && Date.now() < deadline; ) await sleep(LOOK_MS);
  };
  await until(() => said.includes('running\n'), START_MS);
  const pid = child.pid ?? 0;
  const idle = residentOf(pid, 'VmRSS');
  forgetMost(pid);
  let peak = idle;
  const began = Date.now();
  let isTold = false;
  await until(() => {
    peak = Math.max(peak, residentOf(pid, 'VmHWM'));
    if (isEndless && !isTold && Date.now() - began > PATIENCE_MS) isTold = child.kill('SIGTERM');
    return false;
  }, PATIENCE_MS + END_MS);
  const grown = peak - idle;
  if (!isOver) {
    const findings = [
      `it hangs, with ${newProcesses(new Map()).join('; ')}; it wrote: ${JSON.stringify(said.slice(-600))}`,
    ];
    return { findings, hangs: true, grown, status: 'none' };
  }
  const { code, signal } = await exited;
  await Promise.race([closed, sleep(END_MS)]);
  const end: End = { attack, isTold, attacks, code, signal, said, out, grown };
  return { findings: judge(end), grown, status: String(code ?? signal) };
}

/** How a run ended. */
export interface End {
  readonly attack: Attack;
  /** It was ended by SIGTERM. */
  readonly isTold: boolean;
  /** The program has said that it attacks. */
  readonly attacks: boolean;
  readonly code: number | null;
  readonly signal: string;
  /** The end of what was written to stderr, and the beginning of stdout. */
  readonly said: string;
  readonly out: string;
  /** By how much the launcher grew, in KiB. */
  readonly grown: number;
}

/** @returns what is wrong */
export function judge({ attack, isTold, attacks, code, signal, said, out, grown }: End): string[] {
  const wrote = `it wrote: ${JSON.stringify(said.slice(-600))}`;
  const findings: string[] = [];
  if (!attacks) findings.push(`nothing was attacked; ${wrote}`);
  if (code === null) findings.push(`the launcher died: ${signal}; ${wrote}`);
  else if (!isRight(attack, code, isTold)) findings.push(`status ${code}; ${wrote}`);
  if (CRASH.test(said)) findings.push(`nobody caught an exception; ${wrote}`);
  if (code === 125 && !FAILURE.test(said)) findings.push(`125 without a line; ${wrote}`);
  if (!STREAMS.has(attack) && out !== '') findings.push(`it wrote to stdout: ${JSON.stringify(out.slice(0, 600))}`);
  if (grown > MEMORY_KIB) findings.push(`the launcher grew by ${(grown / 1024).toFixed(1)} MiB`);
  const own = STREAMS.has(attack)
    ? said
        .split('\n')
        .filter((line) => line.startsWith('virt-sandbox: '))
        .join('')
    : said;
  if (CONTROL.test(own.replaceAll('\n', ''))) findings.push(`control characters; ${wrote}`);
  return findings;
}

/** The application's status, 125, or that of the signal that the launcher got. */
function isRight(attack: Attack, code: number, isTold: boolean): boolean {
  if (ANY_EXIT.has(attack)) return true;
  const exits = attack === 'exit-twice' ? FIRST_EXITS : [];
  return [APPLICATION_STATUS, 125, ...exits, ...(isTold ? [128 + constants.signals.SIGTERM] : [])].includes(code);
}

/** In KiB; 0 if it has ended. */
function residentOf(pid: number, which: 'VmRSS' | 'VmHWM'): number {
  try {
    return Number(new RegExp(`^${which}:\\s*(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Has the peak of a process begin anew: proc_pid_clear_refs(5). */
function forgetMost(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // It has ended, which is judged later.
  }
}

/** @returns a directory with the program, to be shared */
function build(ground: Ground): string {
  const directory = join(ground.directory, 'attacker');
  mkdirSync(directory, { mode: 0o755 });
  const source = join(REPOSITORY, 'test/soak/programs/hostile-guest.c');
  const program = join(directory, 'hostile-guest');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-static', '-o', program, source]);
  chmodSync(program, 0o755);
  return directory;
}

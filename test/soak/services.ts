/**
 * Scenario `services`: three services are made, started, stopped, cloned, exported, imported, upgraded and removed, two
 * works at a time, and many of the programs are killed. What is there at last works, and `delete` leaves nothing.
 */
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serviceRoots } from '../../src/service/paths.js';
import { PROGRAM, type RunOptions, startSandbox } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 120_000;
const WORKS = [
  ...['create', 'create', 'start', 'start', 'stop', 'restart'],
  ...['clone', 'clone --stop', 'export', 'export --stop', 'import', 'upgrade'],
] as const;
const LOOKS = ['status', 'execute', 'logs', 'list', 'show', 'delete', 'delete'] as const;

/** How many of these a run has; two at a time. */
const SHORT_WORKS = 12;
const FULL_WORKS = 40;
/** In milliseconds: a start of a machine takes about this long. */
const LATEST_KILL = 2500;

/** What is said of one that is not there, is there, runs, does not run, or is busy; and of what the next call mends. */
const EXPECTED =
  /^(?:virt-sandbox-service: (?:service|config|domain|libvirt|boot|init|application): [^\n]*; [^\n]+\n(?: {2}guest: [^\n]*\n)*)*$/;
/** Words for which the program is to be mended. */
const UNEXPECTED = /internal error|damaged|not removable/;

/** All of them write the same file: each reader has a whole one. */
const ARCHIVE = 'archive.tar';
/** What an export leaves that is killed. */
const DRAFT = /^\.archive\.tar\.[0-9a-f]{16}\.tmp$/;

interface Work {
  readonly words: readonly string[];
  /** In milliseconds from its start; undefined: it is not killed. */
  readonly kill: number | undefined;
}

export const services: Scenario = {
  name: 'services',
  what: 'services made, started, stopped, cloned, exported, imported, upgraded and removed at once, many programs killed',
  short: 2,
  full: 40,
  run: async ({ ground, seeds, tally, isFull }) => {
    const counts = { done: 0, killed: 0, refused: 0 };
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const findings = await surveyed(ground, seed, 'embed', async (name) => {
        const states = join(ground.directory, 'states');
        mkdirSync(states, { mode: 0o755 });
        chmodSync(states, 0o755);
        const names = ['a', 'b', 'c'].map((ending) => `${name}-${ending}`);
        try {
          // Two of three are there from the beginning.
          for (const each of names.slice(1)) await endOf(createWords(each, states), optionsOf(ground), BOUND_MS);
          const works = Array.from({ length: isFull ? FULL_WORKS : SHORT_WORKS }, () => workOf(choices, names, states));
          const found: string[] = [];
          const lane = async () => {
            for (let next = works.shift(); next !== undefined; next = works.shift())
              found.push(...(await carryOut(ground, next, counts)));
          };
          await Promise.all([lane(), lane()]);
          return { findings: [...found, ...(await looked(ground, names, states))] };
        } finally {
          rmSync(states, { recursive: true, force: true });
        }
      });
      tally.ran(seed, 'services', findings);
    }
    return `${counts.done} done, ${counts.killed} killed, ${counts.refused} refused`;
  },
};

function createWords(name: string, states: string): string[] {
  const command = ['sh', '-c', 'echo started >> /srv/log; exec sleep 1000'];
  return ['create', '-c', 'qemu:///embed', '--accel', 'tcg', '--path', states, name, '--', ...command];
}

function workOf(choices: Choices, names: readonly string[], states: string): Work {
  const [command = '', ...options] = choices.one([...WORKS, ...LOOKS]).split(' ');
  const [name, other] = [choices.one(names), choices.one(names)];
  const kill = choices.chance(40) ? choices.below(LATEST_KILL) : undefined;
  if (command === 'create') return { words: createWords(name, states), kill };
  const archive = join(states, ARCHIVE);
  if (command === 'export') return { words: [command, ...options, '--output', archive, name], kill };
  if (command === 'import') return { words: [command, '--path', states, archive, name], kill };
  const behind = command === 'clone' ? [other] : command === 'execute' ? ['--', 'cat', '/srv/log'] : [];
  return { words: [command, ...options, ...(command === 'list' ? [] : [name]), ...behind], kill };
}

async function carryOut(
  ground: Ground,
  { words, kill }: Work,
  counts: { done: number; killed: number; refused: number },
): Promise<string[]> {
  const running = startSandbox(words, optionsOf(ground));
  if (kill !== undefined) {
    // What ends before is not killed.
    await Promise.race([sleep(kill), running.result.catch(() => {})]);
    running.child.kill('SIGKILL');
  }
  const ended = await running.result.catch(() => undefined);
  if (ended === undefined) return [`${words.join(' ')} hangs`];
  const said = ended.stderr.replace(/^virt-sandbox-service: [^;\n]*\n/gm, '');
  if (ended.code === 0) counts.done += 1;
  else if (ended.signal === 'SIGKILL' && kill !== undefined) counts.killed += 1;
  else if (isRefusal(words, ended.code, said)) counts.refused += 1;
  else return [`${words.join(' ')} has status ${ended.code ?? ended.signal}: ${ended.stderr.slice(-600)}${ended.out}`];
  return [];
}

/** `status` says 3 of one that does not run, and a command has its own status, or that of a stop. */
function isRefusal([command = '']: readonly string[], code: number | null, said: string): boolean {
  if (command === 'status' && code === 3) return true;
  if (command === 'execute' && code !== null && code !== 125) return true;
  return code === 125 && EXPECTED.test(said) && !UNEXPECTED.test(said);
}

/** Each can be made, or is there, starts, and goes, and nothing of it is left. */
async function looked(ground: Ground, names: readonly string[], states: string): Promise<string[]> {
  const findings: string[] = [];
  const run = async (words: readonly string[], isNeeded = true) => {
    const ended = await endOf(words, optionsOf(ground), BOUND_MS);
    if (isNeeded && ended?.code !== 0)
      findings.push(`${words.join(' ')} at the end: ${ended?.out}${ended?.stderr.slice(-600)}`);
  };
  for (const name of names) {
    // It is there already, if it is.
    await run(createWords(name, states), false);
    await run(['stop', name]);
    await run(['start', name]);
    await run(['delete', name]);
  }
  const { services: above } = serviceRoots();
  const left = [
    ...readdirSync(states).filter((entry) => entry !== ARCHIVE && !DRAFT.test(entry)),
    ...readdirSync(above).filter((entry) => names.some((name) => entry.replace(/^\./, '').startsWith(name))),
  ];
  if (left.length > 0) findings.push(`left of services: ${left.join(', ')}`);
  return findings;
}

function optionsOf(ground: Ground): RunOptions {
  return { ...ground.optionsOf('embed'), program: `${PROGRAM}-service`, timeout: BOUND_MS };
}

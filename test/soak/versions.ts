/**
 * Scenario `versions`: two versions of the program use one store, one after the other and at once. The other one is
 * a copy with an init of its own, or what SOAK_OTHER has: the directory of an earlier version that is built.
 */
import { appendFileSync, cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { copyFacts } from '../helpers/cache.js';
import { PROGRAM, REPOSITORY, type RunResult } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { argumentsOf } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 120_000;

/** What is done with the store. */
const WORKS = ['start', 'start', 'start', 'create', 'create --warm', 'prune', 'verify --all', 'list'] as const;

/** How many of these a run has; two at a time. */
const SHORT_WORKS = 6;
const FULL_WORKS = 30;

export const versions: Scenario = {
  name: 'versions',
  what: 'two versions of the program on one store',
  short: 2,
  full: 20,
  run: async ({ ground, seeds, tally, isFull }) => {
    const programs = [PROGRAM, otherVersion(ground)];
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const planned = Array.from({ length: isFull ? FULL_WORKS : SHORT_WORKS }, () => ({
        program: choices.one(programs),
        work: choices.one(WORKS),
      }));
      const findings = await surveyed(ground, seed, 'embed', async (name) => {
        const cache = join(ground.directory, 'versions');
        mkdirSync(cache, { mode: 0o755 });
        copyFacts(join(cache, 'virt-sandbox'));
        const queue = [...planned.entries()];
        const found: string[] = [];
        const lane = async () => {
          for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
            const [index, { program, work }] = next;
            counts.set(work, (counts.get(work) ?? 0) + 1);
            found.push(...(await carryOut(ground, `${name}-${index}`, cache, program, work)));
          }
        };
        await Promise.all([lane(), lane()]);
        rmSync(cache, { recursive: true, force: true });
        return { findings: found };
      });
      tally.ran(
        seed,
        planned.map(({ work, program }) => `${work}${program === PROGRAM ? '' : "'"}`).join(', '),
        findings,
      );
    }
    return [...counts].map(([work, count]) => `${work} ${count}`).join(', ');
  },
};

/** An earlier version, or a copy of this whose init differs, so its images have other names. @returns its path */
function otherVersion(ground: Ground): string {
  const { SOAK_OTHER: earlier } = process.env;
  if (earlier !== undefined && earlier !== '') return join(earlier, 'bin/virt-sandbox');
  const directory = join(ground.directory, 'other-version');
  mkdirSync(directory, { mode: 0o755 });
  for (const name of ['bin', 'dist', 'kmods', 'profiles', 'package.json']) {
    cpSync(join(REPOSITORY, name), join(directory, name), { recursive: true });
  }
  symlinkSync(join(REPOSITORY, 'node_modules'), join(directory, 'node_modules'));
  // Nobody reads what stands behind the sections of an ELF file.
  appendFileSync(join(directory, 'dist/native/init'), 'another version');
  return join(directory, 'bin/virt-sandbox');
}

async function carryOut(ground: Ground, name: string, cache: string, program: string, work: (typeof WORKS)[number]) {
  const env = { XDG_CACHE_HOME: cache };
  if (work === 'start') {
    const none = { boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
    const args = [...argumentsOf(ground, name, { driver: 'embed', ...none }), '--', 'sh', '-c', 'echo up; exit 7'];
    const ended = await endOf(args, { program, env }, BOUND_MS);
    return ended?.code === 7 && ended.out === 'up\n' && ended.stderr === '' ? [] : [`${work} ${said(ended)}`];
  }
  const ended = await endOf(work.split(' '), { program: `${program}-bake`, env }, BOUND_MS);
  if (ended?.code === 0) return [];
  // Nothing is there yet.
  const isEmpty = work === 'verify --all' && ended?.code === 125 && FAILURE.test(ended.stderr);
  return isEmpty ? [] : [`${work} ${said(ended)}`];
}

function said(ended: RunResult | undefined): string {
  if (ended === undefined) return 'hangs';
  return `has status ${ended.code ?? ended.signal}: ${ended.out}${ended.stderr.slice(-600)}`;
}

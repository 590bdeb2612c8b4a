/** Scenario `builders`: many build one image in one store, while others prune it, remove it, and are killed. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { copyFacts } from '../helpers/cache.js';
import { PROGRAM, type RunResult, startSandbox } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, type Survey, surveyed } from './survey.js';

const SHORT_BUILDERS = 10;
const FULL_BUILDERS = 50;

/** In milliseconds, for each program: fifty share two processors. */
const BOUND_MS = 300_000;

interface Plan {
  readonly builders: readonly { readonly delay: number; readonly killed: number | undefined }[];
  readonly removers: readonly { readonly delay: number; readonly what: 'prune' | 'rm' }[];
}

export function plan(seed: number, builders: number): Plan {
  const choices = new Choices(seed);
  // All that are started at once share what time there is.
  const window = builders * 250;
  return {
    builders: Array.from({ length: builders }, () => ({
      delay: choices.below(window / 2),
      killed: choices.chance(20) ? choices.below(window) : undefined,
    })),
    removers: Array.from({ length: Math.ceil(builders / 2) }, () => ({
      delay: choices.below(window * 2),
      what: choices.one(['prune', 'rm'] as const),
    })),
  };
}

export const builders: Scenario = {
  name: 'builders',
  what: 'builders of one image, with prune, rm and SIGKILL',
  short: 1,
  full: 5,
  run: async ({ ground, seeds, tally, isFull }) => {
    const count = isFull ? FULL_BUILDERS : SHORT_BUILDERS;
    let built = 0;
    let killed = 0;
    for (const seed of seeds()) {
      const planned = plan(seed, count);
      const findings = await surveyed(ground, seed, 'embed', async (name) => {
        const round = await runRound(ground, name, planned);
        built += round.built;
        killed += round.killed;
        return { findings: round.findings };
      });
      tally.ran(seed, `${count} builders`, findings);
    }
    return `${built} ended with an image, ${killed} were killed`;
  },
};

async function runRound(ground: Ground, name: string, { builders, removers }: Plan) {
  const cache = join(ground.directory, `store-${name}`);
  mkdirSync(cache, { mode: 0o755 });
  copyFacts(join(cache, 'virt-sandbox'));
  const store = join(cache, 'virt-sandbox/images');
  const bake = (...args: readonly string[]) => ({
    args,
    options: { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: cache } },
  });
  const findings: string[] = [];
  let built = 0;
  let killed = 0;
  const build = async ({ delay, killed: when }: Plan['builders'][number]) => {
    await sleep(delay);
    const { args, options } = bake('create', '--json');
    const running = startSandbox(args, { ...options, timeout: BOUND_MS });
    if (when !== undefined) setTimeout(() => running.child.kill('SIGKILL'), when).unref();
    const ended = await running.result.catch(() => undefined);
    if (ended?.signal === 'SIGKILL' && when !== undefined) killed += 1;
    else if (ended?.code === 0) built += 1;
    else findings.push(`create ${said(ended)}`);
  };
  const remove = async ({ delay, what }: Plan['removers'][number]) => {
    await sleep(delay);
    const ids = imagesOf(store);
    if (what === 'rm' && ids.length === 0) return;
    const { args, options } = bake(...(what === 'rm' ? ['rm', ids[0] ?? ''] : ['prune']));
    const ended = await endOf(args, options, BOUND_MS);
    // It may be in use, or gone meanwhile.
    const isRight = ended?.code === 0 || (what === 'rm' && ended?.code === 125 && FAILURE.test(ended.stderr));
    if (!isRight) findings.push(`${what} ${said(ended)}`);
  };
  await Promise.all([...builders.map(build), ...removers.map(remove)]);
  findings.push(...(await whole(ground, name, cache, store)));
  rmSync(cache, { recursive: true, force: true });
  return { findings, built, killed };
}

/** What is wrong with a store when all have ended. */
async function whole(ground: Ground, name: string, cache: string, store: string): Promise<Survey['findings']> {
  const env = { XDG_CACHE_HOME: cache };
  const steps: readonly (readonly string[])[] = [['create'], ['verify', '--all'], ['prune']];
  const findings: string[] = [];
  for (const args of steps) {
    const ended = await endOf(args, { program: `${PROGRAM}-bake`, env }, BOUND_MS);
    if (ended?.code !== 0 || ended.stderr !== '') findings.push(`afterwards, ${args[0]} ${said(ended)}`);
    if (args[0] === 'verify') {
      const options = { ...ground.optionsOf('embed'), env };
      const booted = await endOf(['-c', 'qemu:///embed', '-n', name, '--', 'true'], options, BOUND_MS);
      if (booted?.code !== 0) findings.push(`afterwards, the image does not boot: ${said(booted)}`);
    }
  }
  const left = readdirSync(store).filter((entry) => entry.startsWith('.build-'));
  if (left.length > 0) findings.push(`prune leaves ${left.join(', ')}`);
  const leases = readdirSync(join(store, '.leases'));
  if (leases.length > 0) findings.push(`prune leaves the leases ${leases.join(', ')}`);
  return findings;
}

function imagesOf(store: string): string[] {
  try {
    return readdirSync(store).filter((entry) => /^[0-9a-f]{32}$/.test(entry));
  } catch {
    // No builder has made it yet.
    return [];
  }
}

function said(ended: RunResult | undefined): string {
  if (ended === undefined) return 'does not end';
  return `has status ${ended.code ?? ended.signal}: ${ended.out.slice(-300)}${ended.stderr.slice(-500)}`;
}

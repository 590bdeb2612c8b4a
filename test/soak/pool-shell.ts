/**
 * Scenario `pool-shell`: a pool of the shell, and three clients that take sandboxes of it. Who creates it, its holder or
 * a client is killed at a random point; what goes with them is gone then, and the name can be used again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListedPool } from '../../src/cli/ctl/pool-list.js';
import { ctl, startCtl } from '../helpers/ctl.js';
import { type Running, type RunOptions, type RunResult, startSandbox } from '../helpers/run.js';
import { DRIVERS, type Driver, type Ground, URIS } from './ground.js';
import { Choices } from './plan.js';
import { signal } from './processes.js';
import type { Scenario } from './scenario.js';
import { type Survey, surveyed } from './survey.js';

/** Containers cannot wait. */
const MACHINES = DRIVERS.filter((driver) => driver !== 'lxc');

/** In milliseconds: longer than a start, or all that a client does. */
const BOUND_MS = 120_000;

const CLIENTS = 3;

const VICTIMS = ['creator', 'holder', 'client', 'nobody'] as const;

interface Plan {
  readonly driver: Driver;
  readonly size: number;
  readonly victim: (typeof VICTIMS)[number];
  readonly signal: 'SIGKILL' | 'SIGTERM';
  /** In milliseconds: from the start, or from when the clients begin. */
  readonly after: number;
}

function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const [driver, victim, size] = [choices.one(MACHINES), choices.one(VICTIMS), choices.between(1, 2)];
  const how = choices.chance(70) ? 'SIGKILL' : 'SIGTERM';
  return { driver, size, victim, signal: how, after: choices.below(victim === 'creator' ? 4000 : 2000) };
}

export const poolShell: Scenario = {
  name: 'pool-shell',
  what: 'a pool of the shell, with three clients; its creator, its holder or a client killed',
  short: 3,
  full: 60,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const findings = await surveyed(ground, seed, plan.driver, (name) => run(ground, name, plan));
      counts.set(plan.victim, (counts.get(plan.victim) ?? 0) + 1);
      tally.ran(seed, `${plan.driver}: ${plan.signal} to ${plan.victim} after ${plan.after} ms`, findings);
    }
    return [...counts].map(([victim, count]) => `${victim} ${count}`).join(', ');
  },
};

async function run(ground: Ground, name: string, plan: Plan): Promise<Survey> {
  const options: RunOptions = { ...ground.optionsOf(plan.driver), timeout: BOUND_MS };
  const create = () =>
    startCtl(['pool', 'create', name, '--size', String(plan.size), '--', '-c', URIS[plan.driver]], options);
  const creator = create();
  if (plan.victim === 'creator') {
    await sleep(plan.after);
    creator.child.kill(plan.signal);
  }
  const created = await ended(creator);
  if (created === undefined) return { findings: ['the creator hangs'], hangs: true };
  const findings: string[] = [];
  if (plan.victim !== 'creator') {
    if (created.code !== 0) return { findings: [`create: ${created.code ?? created.signal}: ${created.stderr}`] };
    findings.push(...(await withClients(name, plan, options)));
  }
  // Its name is free now, or it is still there.
  if (plan.victim === 'holder') {
    const again = await ended(create());
    if (again?.code !== 0) findings.push(`create again: ${again?.stderr.slice(-500) ?? 'hangs'}`);
  }
  const removed = await ended(startCtl(['pool', 'rm', '--force', '--ignore', name], options));
  // One whose creator was killed may end by itself meanwhile.
  if (removed?.code !== 0 && plan.victim !== 'creator')
    findings.push(`it is not removed: ${removed?.stderr.slice(-500) ?? 'hangs'}`);
  return { findings, mayLeaveDirectory: plan.victim === 'holder' && plan.signal === 'SIGKILL' };
}

async function withClients(name: string, plan: Plan, options: RunOptions): Promise<string[]> {
  const { out } = await ctl(['pool', 'inspect', name], options);
  const [{ pid } = {}] = JSON.parse(out) as Partial<ListedPool>[];
  // 0 would be the process group of this program.
  if (!pid) return ['it is not known who holds the pool'];
  const script = 'cat; sleep 0.5; exit 7';
  const clients = Array.from({ length: CLIENTS }, () =>
    startSandbox(['--pool', name, '--', 'sh', '-c', script], { ...options, input: 'in' }),
  );
  await sleep(plan.after);
  if (plan.victim === 'holder') signal(pid, plan.signal);
  if (plan.victim === 'client') clients[0]?.child.kill(plan.signal);
  const results = await Promise.all(clients.map(ended));
  if (plan.victim === 'holder') for (let turn = 0; turn < 100 && lives(pid); turn += 1) await sleep(100);
  return results.flatMap((result, index) => judge(result, index, plan));
}

/** A client whose pool ends may fail, but it ends; others have no excuse. */
function judge(result: RunResult | undefined, index: number, { victim }: Plan): string[] {
  if (result === undefined) return [`client ${index} hangs`];
  if (victim === 'holder' || (victim === 'client' && index === 0)) return [];
  return result.code === 7 && result.out === 'in'
    ? []
    : [`client ${index} has status ${result.code ?? result.signal}: ${result.stderr}`];
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Its result; undefined if it hangs. */
async function ended(running: Running): Promise<RunResult | undefined> {
  try {
    return await running.result;
  } catch (error) {
    if (/did not end within/.test(String(error))) return undefined;
    throw error;
  }
}

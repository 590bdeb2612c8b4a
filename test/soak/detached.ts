/**
 * Scenario `detached`: a sandbox that stays, with several clients. Its caller, its holder or clients are killed at random
 * points; what goes with them is gone then, and nothing is left.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT_STATE } from '../helpers/leftovers.js';
import { REPOSITORY, type Running, type RunOptions, type RunResult, startSandbox } from '../helpers/run.js';
import { DRIVERS, type Driver, type Ground, URIS } from './ground.js';
import { Choices } from './plan.js';
import { signal } from './processes.js';
import type { Scenario } from './scenario.js';
import { type Survey, surveyed } from './survey.js';

const CLIENT = join(REPOSITORY, 'build/test/soak/client.js');

/** In milliseconds: longer than a start, or all that a client does. */
const BOUND_MS = 120_000;

const CLIENTS = 3;

/** The application of the sandbox writes all the time. */
const APPLICATION = ['sh', '-c', 'while :; do echo line; sleep 0.1; done'];

const VICTIMS = ['caller', 'holder', 'client', 'nobody'] as const;

interface Plan {
  readonly driver: Driver;
  readonly victim: (typeof VICTIMS)[number];
  readonly signal: 'SIGKILL' | 'SIGTERM';
  /** In milliseconds: from the start, or from when the clients begin. */
  readonly after: number;
}

function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const [driver, victim] = [choices.one(DRIVERS), choices.one(VICTIMS)];
  const how = choices.chance(70) ? 'SIGKILL' : 'SIGTERM';
  return { driver, victim, signal: how, after: choices.below(victim === 'caller' ? 4000 : 3000) };
}

export const detached: Scenario = {
  name: 'detached',
  what: 'a sandbox that stays, with three clients; its caller, its holder or a client killed',
  short: 6,
  full: 100,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const findings = await surveyed(ground, seed, plan.driver, (name) => run(ground, name, seed, plan));
      counts.set(plan.victim, (counts.get(plan.victim) ?? 0) + 1);
      tally.ran(seed, `${plan.driver}: ${plan.signal} to ${plan.victim} after ${plan.after} ms`, findings);
    }
    return [...counts].map(([victim, count]) => `${victim} ${count}`).join(', ');
  },
};

async function run(ground: Ground, name: string, seed: number, plan: Plan): Promise<Survey> {
  const options: RunOptions = { ...ground.optionsOf(plan.driver), timeout: BOUND_MS };
  const client = (what: string) =>
    startSandbox([CLIENT, name, String(seed), what], { ...options, program: process.execPath });
  const caller = startSandbox(['-c', URIS[plan.driver], '--detach', '-n', name, '--', ...APPLICATION], options);
  if (plan.victim === 'caller') {
    await sleep(plan.after);
    caller.child.kill(plan.signal);
  }
  const started = await ended(caller);
  if (started === undefined) return { findings: ['the caller hangs'], hangs: true };
  if (plan.victim === 'caller') {
    // It may run: what is not stopped is left, and found.
    await ended(client('stop'));
    return { findings: [] };
  }
  if (started.code !== 0)
    return { findings: [`status ${started.code ?? started.signal}: ${started.stderr.slice(-500)}`] };
  const findings = await withClients(client, plan, holderOf(ground, plan.driver, name));
  if (plan.victim === 'holder') return { findings };
  const stopped = await ended(client('stop'));
  if (stopped?.code !== 0) findings.push(`it is not stopped: ${stopped?.stderr.slice(-500) ?? 'hangs'}`);
  return { findings };
}

async function withClients(client: (what: string) => Running, plan: Plan, holder: number): Promise<string[]> {
  const clients = Array.from({ length: CLIENTS }, (_, index) => client(String(index)));
  await sleep(plan.after);
  if (plan.victim === 'holder') signal(holder, plan.signal);
  if (plan.victim === 'client') clients[0]?.child.kill(plan.signal);
  const results = await Promise.all(clients.map(ended));
  return results.flatMap((result, index) => judge(result, index, plan));
}

/** A client whose sandbox ends may fail, but it ends; others have no excuse. */
function judge(result: RunResult | undefined, index: number, { victim }: Plan): string[] {
  if (result === undefined) return [`client ${index} hangs`];
  if (victim === 'holder' || (victim === 'client' && index === 0)) return [];
  return result.code === 0 ? [] : [`client ${index} has status ${result.code ?? result.signal}: ${result.stderr}`];
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

/** @throws if the sandbox has no record */
function holderOf(ground: Ground, driver: Driver, name: string): number {
  const isUser = driver === 'session' || driver === 'user-embed';
  const state = isUser ? join(ground.user.home, '.cache/libvirt-sandbox') : ROOT_STATE;
  return (JSON.parse(readFileSync(join(state, name, 'sandbox.json'), 'utf8')) as { readonly pid: number }).pid;
}

/**
 * Scenario `screens`: a sandbox with a screen, at which several look and type; its holder, its QEMU or one of them is
 * killed. Where nobody is, one looks so often that memory which is lost each time would show.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { terminal } from '../helpers/desktop.js';
import { qemuOf, ROOT_STATE } from '../helpers/leftovers.js';
import { REPOSITORY, type Running, type RunOptions, type RunResult, startSandbox } from '../helpers/run.js';
import { DRIVERS, type Driver, type Ground, URIS } from './ground.js';
import { Choices } from './plan.js';
import { signal } from './processes.js';
import type { Scenario } from './scenario.js';
import { type Survey, surveyed } from './survey.js';

const LOOKER = join(REPOSITORY, 'build/test/soak/looker.js');
const CLIENT = join(REPOSITORY, 'build/test/soak/client.js');

/** Containers have none. */
const MACHINES = DRIVERS.filter((driver) => driver !== 'lxc');

/** In milliseconds: longer than a start, or all that somebody does at a screen. */
const BOUND_MS = 240_000;
const LOOKERS = 3;

const VICTIMS = ['holder', 'qemu', 'looker', 'nobody', 'nobody'] as const;

/** What a long look may cost. Node.js returns memory late, and QEMU keeps some for each kind of viewer. */
const MOST_GAINED = { holder: 48 * 1024, qemu: 32 * 1024, descriptors: 6 };

interface Gained {
  readonly holder: number;
  readonly qemu: number;
  readonly descriptors: number;
}

export const screens: Scenario = {
  name: 'screens',
  what: 'a screen at which three look and type; its holder, QEMU or one of them killed, or a long look',
  short: 4,
  full: 80,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    const gained: Gained[] = [];
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const plan = { driver: choices.one(MACHINES), victim: choices.one(VICTIMS), after: choices.below(4000) };
      const findings = await surveyed(ground, seed, plan.driver, (name) => run(ground, name, seed, plan, gained));
      counts.set(plan.victim, (counts.get(plan.victim) ?? 0) + 1);
      tally.ran(seed, `${plan.driver}: SIGKILL to ${plan.victim} after ${plan.after} ms`, findings);
    }
    const most = (key: keyof Gained) => Math.max(0, ...gained.map((one) => one[key]));
    const growth = `most gained in a long look: holder ${most('holder')} KiB, QEMU ${most('qemu')} KiB`;
    return [...[...counts].map(([victim, count]) => `${victim} ${count}`), growth].join(', ');
  },
};

interface Plan {
  readonly driver: Driver;
  readonly victim: (typeof VICTIMS)[number];
  readonly after: number;
}

async function run(ground: Ground, name: string, seed: number, plan: Plan, gained: Gained[]): Promise<Survey> {
  const { driver, victim, after } = plan;
  const options: RunOptions = { ...ground.optionsOf(driver), timeout: BOUND_MS };
  const isUser = driver === 'session' || driver === 'user-embed';
  const words = ['-c', URIS[driver], '--detach', '-n', name, '--graphics=vnc,size=640x480'];
  // xterm does not run as root without capabilities.
  const started = await ended(
    startSandbox([...words, ...(isUser ? [] : ['-S', 'nobody']), '--', ...terminal('exec sh')], options),
  );
  if (started?.code !== 0) return { findings: [`it does not start: ${started?.stderr.slice(-500) ?? 'hangs'}`] };
  const state = isUser ? join(ground.user.home, '.cache/libvirt-sandbox') : ROOT_STATE;
  const { pid: holder } = JSON.parse(readFileSync(join(state, name, 'sandbox.json'), 'utf8')) as {
    readonly pid: number;
  };
  const program = (path: string, ...more: string[]) =>
    startSandbox([path, name, String(seed), ...more, String(holder)], { ...options, program: process.execPath });
  const findings: string[] = [];
  if (victim === 'nobody') {
    findings.push(...judgeLong(await ended(program(LOOKER, 'long')), gained));
  } else {
    const lookers = Array.from({ length: LOOKERS }, (_, index) => program(LOOKER, String(index)));
    await sleep(after);
    kill(plan, { holder, name, looker: lookers[0]?.pid ?? 0 });
    const results = await Promise.all(lookers.map(ended));
    findings.push(...results.flatMap((result, index) => judge(result, index, victim)));
  }
  if (victim === 'holder' || victim === 'qemu') return { findings, mayLeaveDirectory: true };
  const stopped = await ended(program(CLIENT, 'stop'));
  if (stopped?.code !== 0) findings.push(`it is not stopped: ${stopped?.stderr.slice(-500) ?? 'hangs'}`);
  return { findings };
}

function kill({ victim }: Plan, { holder, name, looker }: { holder: number; name: string; looker: number }): void {
  const qemu = qemuOf(name);
  if (victim === 'holder') signal(holder, 'SIGKILL');
  if (victim === 'qemu' && qemu !== undefined) signal(qemu, 'SIGKILL');
  if (victim === 'looker') signal(looker, 'SIGKILL');
}

/** Somebody whose sandbox ends may fail, but ends; others have no excuse. */
function judge(result: RunResult | undefined, index: number, victim: Plan['victim']): string[] {
  if (result === undefined) return [`looker ${index} hangs`];
  if (victim === 'holder' || victim === 'qemu' || (victim === 'looker' && index === 0)) return [];
  return result.code === 0
    ? []
    : [`looker ${index} has status ${result.code ?? result.signal}: ${result.stderr.slice(-500)}`];
}

function judgeLong(result: RunResult | undefined, all: Gained[]): string[] {
  if (result?.code !== 0) return [`the long look ended with ${result?.code}: ${result?.stderr.slice(-500) ?? 'hangs'}`];
  const gained = JSON.parse(result.out) as Gained;
  all.push(gained);
  return (Object.keys(MOST_GAINED) as (keyof Gained)[])
    .filter((key) => gained[key] > MOST_GAINED[key])
    .map((key) => `${key} gained ${gained[key]} in a long look`);
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

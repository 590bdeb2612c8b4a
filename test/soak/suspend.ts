/** Scenario `suspend`: a sandbox, all that holds it and its daemon stand still for a while, as when the host sleeps. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DRIVERS, type Ground, URIS } from './ground.js';
import type { Snapshot } from './leftovers.js';
import { judge } from './outcome.js';
import { Choices } from './plan.js';
import { keyOf, processes, signal } from './processes.js';
import { type Configuration, describeConfiguration, type Started } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { watched } from './watched.js';

const SHORT_MS = 3_000;
const FULL_MS = 60_000;

/** In seconds: the deadline of a start goes on while its processes stand still. */
const BOOT_TIMEOUT = 300;

interface Plan {
  readonly configuration: Configuration;
  readonly phase: 'start' | 'running' | 'end';
  /** In milliseconds from the beginning of the phase. */
  readonly delay: number;
}

function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const driver = choices.one(DRIVERS);
  const isMachine = driver !== 'lxc';
  const configuration: Configuration = {
    driver,
    boot: choices.chance(25) ? 'cold' : 'warm',
    terminal: choices.chance(40),
    share: choices.chance(50),
    network: isMachine && choices.chance(40),
    disk: isMachine && choices.chance(20),
  };
  const phase = choices.one(['start', 'running', 'end'] as const);
  const delay = choices.below({ start: 1500, running: 200, end: 100 }[phase]);
  return { configuration, phase, delay };
}

export const suspend: Scenario = {
  name: 'suspend',
  what: 'SIGSTOP to everything of a sandbox, then SIGCONT',
  short: 4,
  full: 40,
  run: async ({ ground, seeds, tally, isFull }) => {
    const stopped = isFull ? FULL_MS : SHORT_MS;
    let most = 0;
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const act = async (started: Started, before: Snapshot) => {
        most = Math.max(most, await stopAll(ground, plan, started, before, stopped));
      };
      const unusual = { planMs: stopped + 120_000, bootTimeout: BOOT_TIMEOUT };
      const findings = await watched(ground, seed, plan.configuration, act, (end) => judge(end, undefined), unusual);
      tally.ran(seed, `${describeConfiguration(plan.configuration)}, ${plan.phase} + ${plan.delay} ms`, findings);
    }
    return `each for ${stopped / 1000} s; up to ${most} processes at once`;
  },
};

/** @returns how many processes stood still */
async function stopAll(
  ground: Ground,
  { configuration, phase, delay }: Plan,
  started: Started,
  before: Snapshot,
  stopped: number,
): Promise<number> {
  if (phase !== 'start' && !(await started.running)) return 0;
  if (phase === 'end') started.sayEnd();
  await sleep(delay);
  // Its daemon too: one that goes on takes a client that is silent for half a minute for dead, and ends its domain.
  const libvirtd = ground.daemons.libvirtd(URIS[configuration.driver]);
  const all = new Set(libvirtd === undefined ? [] : [libvirtd]);
  // What is forked by one that is stopped a moment later is found in the second round.
  for (let round = 0; round < 2; round += 1) {
    const daemons = ground.daemons.pids;
    for (const process of processes()) {
      if (before.has(`process ${keyOf(process)}`) || daemons.includes(process.pid)) continue;
      if (signal(process.pid, 'SIGSTOP')) all.add(process.pid);
    }
  }
  if (libvirtd !== undefined) signal(libvirtd, 'SIGSTOP');
  await sleep(stopped);
  for (const pid of all) signal(pid, 'SIGCONT');
  if (phase !== 'end' && (await started.running)) started.sayEnd();
  return all.size;
}

/** Scenario `guest`: a guest that is out of memory, that panics, that powers off, and a boot that hangs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunResult, startSandbox } from '../helpers/run.js';
import { DRIVERS, type Driver, type Ground } from './ground.js';
import type { Snapshot } from './leftovers.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { keyOf, processes, roleOf, signal } from './processes.js';
import { argumentsOf } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { surveyed } from './survey.js';

/** In milliseconds: how long a start may take, a fault may go on, and a sandbox may take to end when it is told to. */
const START_MS = 30_000;
const PATIENCE_MS = 10_000;
const END_MS = 20_000;

/** The status of one that SIGTERM ended. */
const TOLD = 143;

/** In seconds, of a boot that hangs. */
const DEADLINE = 4;
/** How much later than its deadline a start may end, in milliseconds. */
const LATE_MS = 15_000;

interface Fault {
  readonly options: readonly string[];
  readonly command: string;
  /** Statuses that are right. */
  readonly statuses: readonly number[];
}

const FAULTS: Readonly<Record<string, Fault>> = {
  // The kernel kills the program, or panics when that does not help.
  'out of memory': { options: ['--memory', '256'], command: 'tail /dev/zero', statuses: [137, 125] },
  'out of memory in /tmp': {
    options: ['--memory', '256'],
    command: 'cat /dev/zero >/tmp/all',
    statuses: [1, 137, 125],
  },
  'too many processes': {
    options: ['--memory', '256'],
    command: 'f() { f | f & }; f; sleep 2; exit 7',
    statuses: [7, 2, 125, 137, 143, 254],
  },
  panic: { options: ['-p'], command: 'echo c >/proc/sysrq-trigger; sleep 100', statuses: [125] },
  'power off': { options: ['-p'], command: 'echo o >/proc/sysrq-trigger; sleep 100', statuses: [125] },
  reset: { options: ['-p'], command: 'echo b >/proc/sysrq-trigger; sleep 100', statuses: [125] },
  'init killed': { options: ['-p'], command: 'kill -9 -1; kill -SEGV 1; sleep 1; exit 7', statuses: [7, 125, 137] },
  'a panic in the boot': { options: ['--boot', 'cold', '--memory', '64'], command: 'true', statuses: [125] },
};

export const guestFaults: Scenario = {
  name: 'guest',
  what: 'a guest out of memory, a panic, a boot that hangs',
  short: 10,
  full: 120,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const driver = choices.one(DRIVERS.filter((each) => each !== 'lxc'));
      const fault = choices.one([...Object.keys(FAULTS), 'a boot that hangs']);
      const boot = choices.one(['auto', 'cold'] as const);
      const findings = await surveyed(ground, seed, driver, async (name, before) => {
        const isHang = fault === 'a boot that hangs';
        const found = isHang
          ? await hang(ground, name, driver, before)
          : await inject(ground, name, driver, fault, boot);
        return { findings: found };
      });
      counts.set(fault, (counts.get(fault) ?? 0) + 1);
      tally.ran(seed, `${driver} ${boot}: ${fault}`, findings);
    }
    return [...counts].map(([fault, count]) => `${fault} ${count}`).join(', ');
  },
};

const NONE = { boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;

async function inject(ground: Ground, name: string, driver: Driver, fault: string, boot: string): Promise<string[]> {
  const { options, command, statuses } = FAULTS[fault] ?? { options: [], command: 'true', statuses: [0] };
  const args = [...argumentsOf(ground, name, { driver, ...NONE }), '--boot', boot, ...options];
  const bound = { timeout: START_MS + PATIENCE_MS + END_MS };
  const running = startSandbox([...args, '--', 'sh', '-c', command], { ...ground.optionsOf(driver), ...bound });
  let isTold = false;
  // A guest that is busy with itself never comes to its end, and has to be ended.
  const timer = setTimeout(() => {
    isTold = running.child.kill('SIGTERM');
  }, START_MS + PATIENCE_MS);
  const ended = await running.result.catch(() => undefined);
  clearTimeout(timer);
  return ended === undefined ? ['it hangs'] : judge(ended, isTold ? [...statuses, TOLD] : statuses);
}

function judge({ code, signal: by, stderr }: RunResult, statuses: readonly number[]): string[] {
  if (code === null || !statuses.includes(code)) return [`status ${code ?? by}: ${stderr.slice(-500)}`];
  return code === 125 && !FAILURE.test(stderr) ? [`status 125 without a line: ${stderr.slice(-500)}`] : [];
}

/** QEMU stands still from the moment when it is there. The start has to give up at its deadline. */
async function hang(ground: Ground, name: string, driver: Driver, before: Snapshot): Promise<string[]> {
  const args = argumentsOf(ground, name, { driver, ...NONE, boot: 'cold' }, DEADLINE);
  const options = { ...ground.optionsOf(driver), timeout: DEADLINE * 1000 + LATE_MS + 30_000 };
  const running = startSandbox([...args, '--', 'true'], options);
  const ended = running.result.catch(() => undefined);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const qemu = processes().find((each) => roleOf(each) === 'qemu' && !before.has(`process ${keyOf(each)}`));
    if (qemu !== undefined && signal(qemu.pid, 'SIGSTOP')) break;
    await sleep(5);
  }
  const late = sleep(DEADLINE * 1000 + LATE_MS, 'late' as const, { ref: false });
  const result = await Promise.race([ended, late]);
  if (result === 'late' || result === undefined)
    return [`it does not give up after ${DEADLINE} s: ${running.stderr()}`];
  return judge(result, [125]);
}

/** Scenario `signals`: a random signal to a random process of a random sandbox, at a random moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import { abortedWithin } from '../../src/util/promises.js';
import { DRIVERS, type Driver, type Ground, URIS } from './ground.js';
import type { Snapshot } from './leftovers.js';
import { type Hit, judge } from './outcome.js';
import { Choices } from './plan.js';
import { keyOf, processes, processOf, roleOf, signal } from './processes.js';
import { type Configuration, describeConfiguration, type Started } from './sandbox.js';
import type { Scenario, Tally } from './scenario.js';
import { type Outcome, watched } from './watched.js';

const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSTOP'] as const;

/** When: while the sandbox starts, while the application runs, and while it ends. */
const PHASES = ['start', 'running', 'end'] as const;

const VIRTIOFS_SEED = 1_000_003;

/** In milliseconds: how long the application goes on after a signal. */
const AFTER_MS = 150;
/** How often to look whether the target is there. */
const LOOK_MS = 10;
/** A daemon that a signal ends has ended by then; one that goes on costs as much. */
const ENDS_MS = 500;

export interface SignalPlan {
  readonly configuration: Configuration;
  readonly role: string;
  readonly signal: (typeof SIGNALS)[number];
  readonly phase: (typeof PHASES)[number];
  /** In milliseconds from the beginning of the phase. */
  readonly delay: number;
  /** In milliseconds, for SIGSTOP. */
  readonly stopped: number;
  /** Which of several processes with this role. */
  readonly which: number;
}

/** Who holds a sandbox of this configuration. */
export function rolesOf({ driver, terminal, share, network, virtiofs = false }: Configuration): string[] {
  const served = virtiofs ? ['root-server'] : [];
  const user = ['qemu', ...(network ? ['netwall', 'passt'] : []), ...served];
  // An ordinary user's directories are shared by QEMU itself.
  const root = [...user, ...(share ? ['virtiofsd', 'share-server'] : [])];
  const by: Readonly<Record<Driver, readonly string[]>> = {
    embed: ['virt-qemu-run', ...root],
    'user-embed': ['virt-qemu-run', ...(virtiofs ? ['root-view'] : []), ...user],
    system: ['root-view', ...root, 'libvirtd', 'virtlogd'],
    session: ['root-view', ...user, 'libvirtd', 'virtlogd'],
    lxc: ['libvirt_lxc', 'init', 'libvirtd'],
  };
  return ['launcher', 'supervisor', ...by[driver], ...(terminal ? ['terminal'] : [])];
}

export function planOf(seed: number): SignalPlan {
  const choices = new Choices(seed);
  const driver = choices.one(DRIVERS);
  const isMachine = driver !== 'lxc';
  const configuration: Configuration = {
    driver,
    boot: choices.chance(15) ? 'cold' : 'warm',
    terminal: choices.chance(35),
    share: choices.chance(50),
    network: isMachine && choices.chance(40),
    disk: isMachine && choices.chance(20),
    // Drawn apart: where it is false, a seed has the plan that it had before there was this.
    virtiofs: isMachine && new Choices(seed + VIRTIOFS_SEED).chance(50),
    overlay: !isMachine && choices.chance(50),
  };
  const phase = choices.one(PHASES);
  const longest = { start: configuration.boot === 'cold' ? 5000 : 1200, running: 300, end: 150 }[phase];
  const role = choices.one(rolesOf(configuration));
  const signal = choices.one(SIGNALS);
  const home = choices.chance(30);
  return {
    // A directory of the host has the processes of a share.
    configuration: { ...configuration, home },
    role,
    // A terminal does nothing else.
    signal: role === 'terminal' ? 'SIGHUP' : signal,
    phase,
    delay: choices.below(longest),
    stopped: choices.between(50, 1500),
    which: choices.below(12),
  };
}

function describe({ configuration, role, signal, phase, delay, stopped }: SignalPlan): string {
  const then = signal === 'SIGSTOP' ? `, SIGCONT after ${stopped} ms` : '';
  return `${describeConfiguration(configuration)}: ${signal} to ${role}, ${phase} + ${delay} ms${then}`;
}

export const signals: Scenario = {
  name: 'signals',
  what: 'a random signal to a random process',
  short: 40,
  // Some come when their target is gone: 500 signals are to reach one.
  full: 600,
  run: async ({ ground, seeds, tally }) => {
    const reached = new Map<string, number>();
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const hit = await runOne(ground, seed, plan, tally);
      if (hit !== undefined) reached.set(hit.role, (reached.get(hit.role) ?? 0) + 1);
    }
    const total = [...reached.values()].reduce((sum, count) => sum + count, 0);
    const roles = [...reached].sort(([, a], [, b]) => b - a).map(([role, count]) => `${role} ${count}`);
    return `${total} signals: ${roles.join(', ')}`;
  },
};

/** A run that is under way. */
interface Running {
  readonly ground: Ground;
  readonly plan: SignalPlan;
  readonly started: Started;
  /** What was there before it. */
  readonly before: Snapshot;
  /** Called before the signal is sent: its effect may be seen at once. */
  readonly onHit: (hit: Hit | undefined) => void;
}

async function runOne(ground: Ground, seed: number, plan: SignalPlan, tally: Tally): Promise<Hit | undefined> {
  let hit: Hit | undefined;
  const onHit = (value: Hit | undefined) => {
    hit = value;
  };
  const isEmbedded = ['embed', 'user-embed'].includes(plan.configuration.driver);
  const { driver, virtiofs } = plan.configuration;
  const servesRoot = virtiofs === true && (driver === 'session' || driver === 'user-embed');
  const onSent = (value: Hit | undefined) => onHit(value && { ...value, isEmbedded, servesRoot });
  const act = (started: Started, before: Snapshot) => deliver({ ground, plan, started, before, onHit: onSent });
  // A libvirtd that is ended keeps records of domains that end while it is away. No process is in them.
  const forgiven = () => (hit?.role === 'libvirtd' ? (['control group', 'domain'] as const) : []);
  // Its supervisor, which would remove the directory, may not run yet: docs/reliability.md.
  const mayLeaveDirectory = () => plan.phase === 'start' && hit?.role === 'launcher' && hit.signal === 'SIGKILL';
  const judged = (outcome: Outcome) => judge(outcome, hit);
  const unusual = { forgiven, mayLeaveDirectory };
  const findings = await watched(ground, seed, plan.configuration, act, judged, unusual);
  tally.ran(seed, `${describe(plan)}${hit === undefined ? ' (not there)' : ''}`, findings);
  return hit;
}

/** Sends the signal when the plan says so, and has the application end. */
async function deliver(running: Running): Promise<void> {
  const { plan, started } = running;
  const over = new AbortController();
  void started.exited.then(() => over.abort());
  if (plan.phase === 'start') {
    const ready = started.running.finally(() => over.abort());
    await sleep(plan.delay);
    await send(running, over.signal);
    if (await ready) started.sayEnd();
    return;
  }
  if (!(await started.running)) return;
  if (plan.phase === 'end') started.sayEnd();
  await sleep(plan.delay);
  // All that there will be is there already, so the wait is a short one.
  await send(running, abortedWithin(AFTER_MS, over.signal));
  if (plan.phase === 'running') {
    await sleep(AFTER_MS);
    started.sayEnd();
  }
}

/** Waits until the target is there or it is `over`, and sends the signal. */
async function send({ ground, plan, started, before, onHit }: Running, over: AbortSignal): Promise<void> {
  if (plan.role === 'terminal') {
    if (over.aborted) return;
    onHit({ role: plan.role, signal: plan.signal });
    started.hangUp?.();
    return;
  }
  for (;;) {
    const pid = target(ground, plan, started, before);
    if (pid !== undefined) {
      onHit({ role: plan.role, signal: plan.signal });
      if (signal(pid, plan.signal)) {
        if (plan.signal !== 'SIGSTOP') {
          if (plan.role === 'libvirtd' || plan.role === 'virtlogd') await endOf(pid);
          return;
        }
        await sleep(plan.stopped);
        signal(pid, 'SIGCONT');
        return;
      }
      onHit(undefined);
    }
    if (over.aborted) return;
    await sleep(LOOK_MS);
  }
}

/** Waits for what ends by a signal: a daemon that is about to end still answers, and the next run would count on it. */
async function endOf(pid: number): Promise<void> {
  for (const deadline = Date.now() + ENDS_MS; Date.now() < deadline; await sleep(LOOK_MS)) {
    if ([undefined, 'Z'].includes(processOf(pid)?.state)) return;
  }
}

function target(ground: Ground, plan: SignalPlan, started: Started, before: Snapshot): number | undefined {
  const uri = URIS[plan.configuration.driver];
  if (plan.role === 'launcher') return processOf(started.pid)?.pid;
  if (plan.role === 'libvirtd') return ground.daemons.libvirtd(uri);
  if (plan.role === 'virtlogd') return ground.daemons.virtlogd(uri);
  const found = processes().filter((process) => {
    return roleOf(process) === plan.role && !before.has(`process ${keyOf(process)}`) && process.state !== 'Z';
  });
  return found[plan.which % Math.max(1, found.length)]?.pid;
}

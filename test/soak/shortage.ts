/** Scenario `shortage`: too little of something of the host's, while a sandbox is started or an image built. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM, type RunResult } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { argumentsOf, describeConfiguration } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 90_000;

const SHORTAGES = [
  'full cache',
  'full state',
  'no inodes in the cache',
  'no inodes for the state',
  'descriptors',
  'memory',
  'read-only cache',
  'closed streams',
  'full output',
] as const;
type Shortage = (typeof SHORTAGES)[number];

export interface Plan {
  readonly shortage: Shortage;
  readonly driver: 'embed' | 'system';
  readonly boot: 'warm' | 'cold';
  /** What is run: a sandbox, or virt-sandbox-bake. */
  readonly program: 'sandbox' | 'bake';
  /** How much there is, in units of the shortage. */
  readonly amount: number;
  /** Which of the three streams are closed, as bits. */
  readonly closed: number;
}

export function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const shortage = choices.one(SHORTAGES);
  const driver = choices.one(['embed', 'system'] as const);
  const boot = choices.one(['warm', 'cold'] as const);
  const isState = shortage.endsWith('state') || shortage === 'full output';
  const program = !isState && choices.chance(40) ? 'bake' : 'sandbox';
  const amounts: Readonly<Record<Shortage, () => number>> = {
    // KiB, of an empty store: an image has some 40 MiB.
    'full cache': () => 4 << choices.between(0, 15),
    'full state': () => choices.between(1, 40) * 4,
    'no inodes in the cache': () => choices.between(1, 40),
    'no inodes for the state': () => choices.between(1, 60),
    descriptors: () => choices.between(20, 50),
    // MiB of addresses. Node.js alone takes a thousand.
    memory: () => choices.between(700, 4000),
    'read-only cache': () => 0,
    'closed streams': () => 0,
    'full output': () => 0,
  };
  return { shortage, driver, boot, program, amount: amounts[shortage](), closed: choices.between(1, 7) };
}

export const shortage: Scenario = {
  name: 'shortage',
  what: 'too little space, inodes, descriptors or memory; a read-only cache; closed streams',
  short: 12,
  full: 200,
  run: async ({ ground, seeds, tally }) => {
    const outcomes = new Map<string, number>();
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const findings = await surveyed(ground, seed, plan.driver, async (name) => {
        const { findings, outcome } = await runOne(ground, name, plan);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        return { findings };
      });
      tally.ran(seed, describe(plan), findings);
    }
    return [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
  },
};

function describe({ shortage, amount, closed, program, driver, boot }: Plan): string {
  const none = { terminal: false, share: false, network: false, disk: false };
  const what = program === 'bake' ? 'bake create' : describeConfiguration({ driver, boot, ...none });
  return `${what}: ${shortage}, ${shortage === 'closed streams' ? `bits ${closed}` : amount}`;
}

/** The words of a shell that runs `"$@"` in want of something, and the store that it uses. */
interface Want {
  readonly script: string;
  readonly cache: string;
}

async function runOne(ground: Ground, name: string, plan: Plan) {
  const own = join(ground.directory, 'short');
  const { script, cache } = wantOf(ground, plan, own);
  const none = { terminal: false, share: false, network: false, disk: false } as const;
  const usual = [...argumentsOf(ground, name, { driver: plan.driver, boot: plan.boot, ...none })];
  const args = plan.program === 'bake' ? ['create'] : [...usual, '--', 'sh', '-c', 'echo well; exit 7'];
  // Mounts are made in a namespace of the program's own: daemons that it talks to do not have them.
  const through = ['unshare', '--mount', '--propagation', 'slave', 'sh', '-uc', script, 'sh'];
  const program = plan.program === 'bake' ? `${PROGRAM}-bake` : PROGRAM;
  try {
    if (!runsNode([...through, process.execPath, '-e', '0']))
      return { findings: [], outcome: 'too little for Node.js' };
    const ended = await endOf(args, { program, through, env: { XDG_CACHE_HOME: cache } }, BOUND_MS);
    return judge(plan, ended);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function wantOf(ground: Ground, { shortage, amount, closed }: Plan, own: string): Want {
  const shared = join(ground.directory, 'cache');
  const limit = (mount: string, target: string) => `mount -t tmpfs -o mode=755,${mount} tmpfs ${target}; exec "$@"`;
  const store = () => {
    mkdirSync(own, { mode: 0o755 });
    return own;
  };
  switch (shortage) {
    case 'full cache':
      return { script: limit(`size=${amount}k`, store()), cache: own };
    case 'no inodes in the cache':
      return { script: limit(`nr_inodes=${amount}`, store()), cache: own };
    case 'full state':
      return { script: limit(`size=${amount}k`, '/run/libvirt-sandbox'), cache: shared };
    case 'no inodes for the state':
      return { script: limit(`nr_inodes=${amount}`, '/run/libvirt-sandbox'), cache: shared };
    case 'descriptors':
      return { script: `exec prlimit --nofile=${amount} "$@"`, cache: shared };
    case 'memory':
      return { script: `exec prlimit --as=${amount * 1048576} "$@"`, cache: shared };
    case 'read-only cache':
      cpSync(shared, store(), { recursive: true, preserveTimestamps: true });
      chmodSync(own, 0o755);
      return { script: `mount --bind ${own} ${own}; mount -o remount,ro,bind ${own}; exec "$@"`, cache: own };
    case 'closed streams': {
      const words = ['<&-', '>&-', '2>&-'].filter((_, bit) => (closed & (1 << bit)) !== 0);
      return { script: `exec "$@" ${words.join(' ')}`, cache: shared };
    }
    case 'full output':
      return { script: 'exec "$@" >/dev/full', cache: shared };
  }
}

/** Whether Node.js alone starts there. */
function runsNode([command = '', ...args]: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function judge({ shortage, program, closed }: Plan, ended: RunResult | undefined) {
  if (ended === undefined) return { findings: ['it hangs'], outcome: 'hangs' };
  const { code, signal, out, stderr } = ended;
  const hasOut = shortage !== 'closed streams' || (closed & 2) === 0;
  const hasErr = shortage !== 'closed streams' || (closed & 4) === 0;
  const isWell = program === 'bake' ? code === 0 : code === 7 && (out === 'well\n' || !hasOut);
  if (isWell && shortage !== 'full output') return { findings: [], outcome: 'worked' };
  if (code === 125 && (FAILURE.test(stderr) || !hasErr)) return { findings: [], outcome: 'refused' };
  return { findings: [`status ${code ?? signal}: ${out}${stderr.slice(-700)}`], outcome: 'wrong' };
}

/** Scenario `fleet`: a boot image with its snapshots is pushed and pulled, and something goes wrong meanwhile. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { snapshotsOf } from '../../src/image/snapshot/record.js';
import { copyFacts } from '../helpers/cache.js';
import { halfMadeIn, imagesIn, storeOf } from '../helpers/fleet.js';
import { type DebianRegistry, startDebianRegistry } from '../helpers/oci/debian-registry.js';
import { type Interference, startRegistryProxy } from '../helpers/oci/registry-proxy.js';
import { PROGRAM, type RunOptions, type RunResult, startSandbox } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, type Survey, surveyed } from './survey.js';

/** In milliseconds. A registry that dies is asked again for a while. */
const BOUND_MS = 180_000;

const FAULTS = ['killed', 'twice', 'full disk', 'no inodes', 'broken off', 'dead', 'removed'] as const;
type Fault = (typeof FAULTS)[number];

interface Plan {
  readonly fault: Fault;
  readonly command: 'push' | 'pull';
  /** Milliseconds after which somebody is killed, or removes. */
  readonly delay: number;
  /** Of two, whether the first one is killed. */
  readonly isKilled: boolean;
  /** KiB of a disk, or inodes. */
  readonly amount: number;
  /** Bytes after which the registry breaks off. */
  readonly bytes: number;
}

function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const fault = choices.one(FAULTS);
  return {
    fault,
    command: choices.one(['push', 'pull', 'pull']),
    delay: choices.below(1500),
    isKilled: choices.chance(50),
    amount: fault === 'no inodes' ? choices.between(5, 60) : 4 << choices.between(4, 15),
    bytes: choices.below(16_000_000),
  };
}

export const fleet: Scenario = {
  name: 'fleet',
  what: 'SIGKILL, a full disk, a registry that dies, and removals, while a boot image is pushed or pulled',
  short: 8,
  full: 300,
  run: async ({ ground, seeds, tally }) => {
    const outcomes = new Map<string, number>();
    const endings: (() => unknown)[] = [];
    const context = { after: (end?: unknown) => void endings.unshift(end as () => unknown) };
    try {
      // Outside of what is looked at for leftovers.
      const registry = await startDebianRegistry(context, { above: '/var/tmp' });
      const cache = join(ground.directory, 'cache');
      const image = withMostSnapshots(cache);
      await ground.bake(ground.optionsOf('embed'), 'push', image, `${registry.host}/boot/whole:1`);
      for (const seed of seeds()) {
        const plan = planOf(seed);
        const findings = await surveyed(ground, seed, 'embed', (name) =>
          disturbed({ ground, registry, name, image, plan, outcomes }),
        );
        const { fault, command, delay, amount, bytes } = plan;
        tally.ran(seed, `${command}, ${fault}, ${delay} ms, ${amount}, ${bytes} bytes`, findings);
      }
    } finally {
      for (const end of endings) await end();
    }
    return [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
  },
};

function withMostSnapshots(cache: string): string {
  const count = (id: string) => snapshotsOf(join(storeOf(cache), id)).length;
  const [id] = imagesIn(cache).sort((a, b) => count(b) - count(a));
  if (id === undefined) throw new Error('there is no image to push');
  return id;
}

interface Round {
  readonly ground: Ground;
  readonly registry: DebianRegistry;
  readonly name: string;
  readonly image: string;
  readonly plan: Plan;
  readonly outcomes: Map<string, number>;
}

async function disturbed(round: Round): Promise<Survey> {
  const endings: (() => unknown)[] = [];
  const context = { after: (end?: unknown) => void endings.unshift(end as () => unknown) };
  const proxy = await startRegistryProxy(context, round.registry.host);
  const transfers = new Transfers(round, proxy.host);
  proxy.interfere((method, path) => transfers.interference(method, path));
  try {
    return { findings: await transfers.run() };
  } finally {
    for (const end of endings) await end();
  }
}

class Transfers {
  /** Of those who pull. */
  readonly #cache: string;
  readonly #findings: string[] = [];
  /** Whether the registry does what it should. */
  #isWell = false;
  #broken = 0;

  constructor(
    private readonly round: Round,
    private readonly host: string,
  ) {
    this.#cache = join(round.ground.directory, `fleet-${round.name}`);
  }

  async run(): Promise<string[]> {
    mkdirSync(join(this.#cache, 'virt-sandbox'), { recursive: true, mode: 0o755 });
    copyFacts(join(this.#cache, 'virt-sandbox'));
    try {
      await this.#disturb();
      this.#isWell = true;
      await this.#afterwards();
      return this.#findings;
    } finally {
      rmSync(this.#cache, { recursive: true, force: true });
    }
  }

  /** What the registry does with a request, as the plan has it. */
  interference(method: string, path: string): Interference {
    const { fault, bytes, command } = this.round.plan;
    const isContent = command === 'push' ? method === 'PUT' || method === 'PATCH' : path.includes('/blobs/');
    if (this.#isWell || !isContent) return { kind: 'pass' };
    if (fault === 'dead') return { kind: 'break', after: 0 };
    if (fault !== 'broken off' || this.#broken >= 3) return { kind: 'pass' };
    this.#broken += 1;
    return { kind: 'break', after: bytes };
  }

  async #disturb(): Promise<void> {
    const { fault, delay, isKilled, amount } = this.round.plan;
    switch (fault) {
      case 'killed':
        return this.#judge(await this.#start({ killed: delay }));
      case 'twice': {
        const first = this.#start({ killed: isKilled ? delay : undefined });
        const second = sleep(delay / 4).then(() => this.#start({}));
        this.#judge(await first);
        return this.#judge(await second, true);
      }
      case 'removed': {
        const running = this.#start({});
        await sleep(delay);
        for (const words of [['prune'], ['rm', this.round.image]]) await this.#bake(words);
        return this.#judge(await running);
      }
      case 'full disk':
        return this.#judge(await this.#start({ mount: `size=${amount}k` }));
      case 'no inodes':
        return this.#judge(await this.#start({ mount: `nr_inodes=${amount}` }));
      case 'broken off':
        return this.#judge(await this.#start({}), true);
      case 'dead':
        return this.#judge(await this.#start({}));
    }
  }

  /** It is right if it worked, was killed, or says why not in one line. */
  #judge(ended: RunResult | undefined, hasToWork = false): void {
    const isWell = ended?.code === 0 && ended.stderr === '' && /^digest: sha256:[0-9a-f]{64}$/m.test(ended.out);
    const isRefused =
      ended?.code === 125 && ended.out === '' && FAILURE.test(ended.stderr) && !/\n./.test(ended.stderr);
    const outcome = isWell ? 'worked' : isRefused ? 'refused' : ended?.signal === 'SIGKILL' ? 'killed' : 'wrong';
    this.round.outcomes.set(outcome, (this.round.outcomes.get(outcome) ?? 0) + 1);
    if (outcome === 'wrong' || (hasToWork && outcome === 'refused'))
      this.#findings.push(`${this.round.plan.command} ${said(ended)}`);
  }

  /** @param mount options of the disk that the store is on then */
  async #start({ killed, mount }: { killed?: number | undefined; mount?: string }): Promise<RunResult | undefined> {
    const { command, fault } = this.round.plan;
    const isPush = command === 'push';
    // What is pushed comes of the store of all, but for one that has no room: it takes it from that directory.
    const ofAll = join(this.round.ground.directory, 'cache');
    const cache = isPush && mount === undefined && fault !== 'removed' ? ofAll : this.#cache;
    const words = isPush
      ? ['push', join(storeOf(ofAll), this.round.image), `${this.host}/boot/${this.round.name}:1`]
      : ['pull', `${this.host}/boot/whole:1`, '-n', 'web'];
    const script = `mount -t tmpfs -o mode=755,${mount} tmpfs ${cache}; exec "$@"`;
    const through =
      mount === undefined ? [] : ['unshare', '--mount', '--propagation', 'slave', 'sh', '-uc', script, 'sh'];
    const options: RunOptions = { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: cache }, through };
    if (killed === undefined) return endOf(words, options, BOUND_MS);
    const running = startSandbox(words, { ...options, timeout: BOUND_MS });
    const timer = setTimeout(() => running.child.kill('SIGKILL'), killed);
    return running.result.catch(() => undefined).finally(() => clearTimeout(timer));
  }

  async #bake(words: readonly string[]): Promise<RunResult | undefined> {
    return endOf(words, { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: this.#cache } }, BOUND_MS);
  }

  /** It is pushed, pulled and started, and the store has nothing half-made. */
  async #afterwards(): Promise<void> {
    const { image, name } = this.round;
    this.#judge(await this.#start({}), true);
    const tag = this.round.plan.command === 'push' ? name : 'whole';
    const pulled = await this.#bake(['pull', `${this.host}/boot/${tag}:1`, '-n', 'web']);
    if (pulled?.code !== 0) this.#findings.push(`afterwards, a pull ${said(pulled)}`);
    const verified = await this.#bake(['verify', '--all']);
    if (verified?.code !== 0) this.#findings.push(`verify ${said(verified)}`);
    const words = ['-c', 'qemu:///embed', '-n', name, '--image', 'web', '--boot', 'warm', '--', 'echo', 'well'];
    const started = await endOf(words, { env: { XDG_CACHE_HOME: this.#cache } }, BOUND_MS);
    if (started?.code !== 0 || started.out !== 'well\n') this.#findings.push(`a warm start ${said(started)}`);
    await this.#bake(['prune']);
    const left = halfMadeIn(this.#cache);
    if (left.length > 0) this.#findings.push(`the store has ${left.join(', ')}`);
    if (imagesIn(this.#cache).join() !== image) this.#findings.push(`the store has ${imagesIn(this.#cache).join()}`);
  }
}

function said(ended: RunResult | undefined): string {
  if (ended === undefined) return 'hangs';
  return `ends with ${ended.code ?? ended.signal}: ${ended.out.slice(0, 100)} ${ended.stderr.slice(-500)}`;
}

/** Scenario `images`: sandboxes pull their root from a registry, and something goes wrong meanwhile. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pruneStore, removeImage } from '../../src/oci/store/remove.js';
import { StorePaths } from '../../src/oci/store/store-paths.js';
import { SandboxError } from '../../src/util/errors.js';
import { copyFacts } from '../helpers/cache.js';
import { busyboxLayer } from '../helpers/oci/busybox.js';
import { type TestImage, testImage } from '../helpers/oci/image.js';
import { imageIn, sendBlob, startRegistry, type TestRegistry } from '../helpers/oci/registry.js';
import { tarOf } from '../helpers/oci/tar.js';
import { type RunOptions, type RunResult, startSandbox } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, type Survey, surveyed } from './survey.js';

/** In milliseconds. A registry that dies is asked again for a while. */
const BOUND_MS = 180_000;

const FAULTS = ['killed', 'twice', 'full disk', 'no inodes', 'broken off', 'dead', 'removed'] as const;
type Fault = (typeof FAULTS)[number];

export interface Plan {
  readonly fault: Fault;
  /** Milliseconds after which somebody is killed, or begins to remove. */
  readonly delay: number;
  /** Of the first start of two, whether it is killed. */
  readonly isKilled: boolean;
  /** KiB of a disk, or inodes. */
  readonly amount: number;
  /** Bytes of a blob after which the registry breaks off. */
  readonly bytes: number;
  /** Milliseconds between two pieces of a blob. */
  readonly pause: number;
}

export function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const fault = choices.one(FAULTS);
  return {
    fault,
    delay: choices.below(3000),
    isKilled: choices.chance(50),
    amount: fault === 'no inodes' ? choices.between(5, 60) : 4 << choices.between(4, 12),
    bytes: choices.below(4_000_000),
    pause: choices.one([0, 0, 20]),
  };
}

export const images: Scenario = {
  name: 'images',
  what: 'SIGKILL, a full disk, a registry that dies, and a removal, while a root is pulled',
  short: 8,
  full: 300,
  run: async ({ ground, seeds, tally }) => {
    const image = testImage([
      busyboxLayer(),
      tarOf({ name: 'random', data: randomBytes(3_000_000) }, { name: 'same', data: 'x'.repeat(2_000_000) }),
      tarOf({ name: 'last', data: 'whole' }),
    ]);
    const outcomes = new Map<string, number>();
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const findings = await surveyed(ground, seed, 'embed', (name) =>
        withRegistry(ground, { name, image, plan }, outcomes),
      );
      tally.ran(seed, `${plan.fault}, ${plan.delay} ms, ${plan.amount}, ${plan.bytes} bytes`, findings);
    }
    return [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ');
  },
};

interface Round {
  readonly name: string;
  readonly image: TestImage;
  readonly plan: Plan;
}

async function withRegistry(ground: Ground, round: Round, outcomes: Map<string, number>): Promise<Survey> {
  const endings: (() => unknown)[] = [];
  const registry = await startRegistry({ after: (end) => void endings.push(end as () => unknown) });
  registry.add(round.image, 'v1');
  try {
    return { findings: await new Pulls(ground, registry, round, outcomes).run() };
  } finally {
    for (const end of endings) await end();
  }
}

class Pulls {
  readonly #cache: string;
  readonly #options: RunOptions;
  readonly #findings: string[] = [];
  /** Whether the registry does what it should. */
  #isWell = false;

  constructor(
    private readonly ground: Ground,
    private readonly registry: TestRegistry,
    private readonly round: Round,
    private readonly outcomes: Map<string, number>,
  ) {
    this.#cache = join(ground.directory, `oci-${round.name}`);
    this.#options = { ...ground.optionsOf('embed'), env: { XDG_CACHE_HOME: this.#cache } };
  }

  async run(): Promise<string[]> {
    mkdirSync(join(this.#cache, 'virt-sandbox'), { recursive: true, mode: 0o755 });
    copyFacts(join(this.#cache, 'virt-sandbox'));
    symlinkSync(join(this.ground.directory, 'cache/virt-sandbox/images'), join(this.#cache, 'virt-sandbox/images'));
    this.registry.hook((request, response) => this.#disturb(request, response));
    try {
      await this.#disturbed();
      this.#isWell = true;
      await this.#afterwards();
      return this.#findings;
    } finally {
      rmSync(this.#cache, { recursive: true, force: true });
    }
  }

  /** The registry as the plan has it. */
  #disturb: Parameters<TestRegistry['hook']>[0] = ({ path, headers }, response) => {
    const { fault, bytes, pause } = this.round.plan;
    const blob = this.round.image.layers.find(({ digest }) => path.endsWith(digest));
    if (this.#isWell || blob === undefined) return false;
    if (fault === 'dead') {
      response.socket?.destroy();
      return true;
    }
    if (fault === 'broken off') {
      response.writeHead(200, { 'content-length': blob.size });
      response.write(blob.bytes.subarray(0, Math.min(bytes, blob.size - 1)), () => response.socket?.destroy());
      return true;
    }
    if (pause === 0 || headers.range !== undefined) {
      sendBlob(response, blob, headers.range);
      return true;
    }
    void slowly(response, blob.bytes, pause);
    return true;
  };

  async #disturbed(): Promise<void> {
    const { fault, delay, isKilled, amount } = this.round.plan;
    switch (fault) {
      case 'killed':
        return this.#judge(await this.#start({ killed: delay }));
      case 'twice': {
        const [first, second] = [
          this.#start({ killed: isKilled ? delay : undefined }),
          sleep(delay / 4).then(() => this.#start({ suffix: '-b' })),
        ];
        this.#judge(await first);
        return this.#judge(await second, true);
      }
      case 'removed': {
        const starting = this.#start({});
        await sleep(delay);
        await this.#remove();
        return this.#judge(await starting, true);
      }
      case 'full disk':
        return this.#judge(await this.#start({ mount: `size=${amount}k` }));
      case 'no inodes':
        return this.#judge(await this.#start({ mount: `nr_inodes=${amount}` }));
      case 'broken off':
      case 'dead':
        return this.#judge(await this.#start({}));
    }
  }

  /** A start is right if it works, was killed, or says why not in one line. */
  #judge(ended: RunResult | undefined, hasToWork = false): void {
    const isWell = ended?.code === 0 && ended.out === 'whole';
    const isRefused =
      ended?.code === 125 && ended.out === '' && FAILURE.test(ended.stderr) && !/\n./.test(ended.stderr);
    const outcome = isWell ? 'worked' : isRefused ? 'refused' : ended?.signal === 'SIGKILL' ? 'killed' : 'wrong';
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    if (outcome === 'wrong' || (hasToWork && outcome !== 'worked')) this.#findings.push(`a start ${said(ended)}`);
  }

  /** @param mount options of the disk that the store is on then */
  async #start(how: { suffix?: string; killed?: number | undefined; mount?: string }): Promise<RunResult | undefined> {
    const { suffix = '', killed, mount } = how;
    const root = `docker://${imageIn(this.registry, 'v1')}`;
    const words = ['-c', 'qemu:///embed', '-n', `${this.round.name}${suffix}`, '--root', root, '--', 'cat', '/last'];
    // Mounts are made in a namespace of the program's own.
    const script = `mount -t tmpfs -o mode=755,${mount} tmpfs ${this.#cache}; exec "$@"`;
    const through =
      mount === undefined ? [] : ['unshare', '--mount', '--propagation', 'slave', 'sh', '-uc', script, 'sh'];
    if (killed === undefined) return endOf(words, { ...this.#options, through }, BOUND_MS);
    const running = startSandbox(words, { ...this.#options, timeout: BOUND_MS });
    const timer = setTimeout(() => running.child.kill('SIGKILL'), killed);
    return running.result.catch(() => undefined).finally(() => clearTimeout(timer));
  }

  async #remove(): Promise<void> {
    try {
      await removeImage(this.#paths, `docker://${imageIn(this.registry, 'v1')}`);
    } catch (error) {
      // It is not there yet, is being pulled, or in use.
      if (!(error instanceof SandboxError)) throw error;
    }
  }

  get #paths(): StorePaths {
    return new StorePaths(join(this.#cache, 'virt-sandbox/oci'));
  }

  /** The image is pulled and run, and then the store has it, and nothing else; pruned, it has nothing. */
  async #afterwards(): Promise<void> {
    for (const when of ['afterwards', 'again']) {
      const ended = await this.#start({});
      if (ended?.code !== 0 || ended.out !== 'whole' || ended.stderr !== '')
        this.#findings.push(`${when}, a start ${said(ended)}`);
    }
    const { image } = this.round;
    const wanted = ['partial 0', `blobs ${image.blobs.length}`, 'roots 1', 'tags 1'];
    const found = this.#counts();
    if (found.join() !== wanted.join()) this.#findings.push(`the store has ${found.join(', ')}`);
    await pruneStore(this.#paths, { all: true });
    const left = filesBelow(this.#paths.directory).filter(
      (path) => !path.includes('/.leases/') && !/\/(lock|turn)$/.test(path),
    );
    if (left.length > 0) this.#findings.push(`prune leaves ${left.join(', ')}`);
  }

  #counts(): string[] {
    const { partials, blobs, roots, tags } = this.#paths;
    const count = (directory: string) => readdirSync(directory).filter((name) => name !== '.leases').length;
    return [
      `partial ${count(partials)}`,
      `blobs ${count(join(blobs, 'sha256'))}`,
      `roots ${count(roots)}`,
      `tags ${count(tags)}`,
    ];
  }
}

async function slowly(response: Parameters<typeof sendBlob>[0], bytes: Buffer, pause: number): Promise<void> {
  response.writeHead(200, { 'content-length': bytes.length });
  for (let at = 0; at < bytes.length && !response.destroyed; at += 65_536) {
    response.write(bytes.subarray(at, at + 65_536));
    await sleep(pause);
  }
  response.end();
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name));
}

function said(ended: RunResult | undefined): string {
  if (ended === undefined) return 'hangs';
  return `ends with ${ended.code ?? ended.signal}: ${ended.out.slice(0, 100)} ${ended.stderr.slice(-500)}`;
}

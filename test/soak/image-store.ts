/**
 * Scenario `image-store`: OCI images are pulled, named, verified and removed in one store, two works at a time, and many
 * of the programs are killed. What is there at last is whole, and what nobody needs is gone.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { testImage } from '../helpers/oci/image.js';
import { imageIn, startRegistry, type TestRegistry } from '../helpers/oci/registry.js';
import { tarOf } from '../helpers/oci/tar.js';
import { PROGRAM, type RunOptions, startSandbox } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 120_000;
const TAGS = ['a', 'b', 'c'] as const;
const WORKS = [
  'pull',
  'pull',
  'pull',
  'rm',
  'tag',
  'prune',
  'prune --all',
  'verify',
  'verify --remove',
  'list',
  'inspect',
  'diff',
] as const;

/** How many of these a run has; two at a time. */
const SHORT_WORKS = 12;
const FULL_WORKS = 40;
/** In milliseconds: a pull of these images takes about this long. */
const LATEST_KILL = 900;

/** What is said of an image that is not there, of a store in which somebody is busy, and of one that was pulled anew. */
const EXPECTED =
  /^virt-sandbox-image: image: (?:there is no image |\S+ is in use by |the file system of |the blob )[^\n]*; [^\n]+\n$/;

interface Work {
  readonly words: readonly string[];
  /** In milliseconds from its start; undefined: it is not killed. */
  readonly kill: number | undefined;
}

export const imageStore: Scenario = {
  name: 'image-store',
  what: 'pulls, removals and checks of OCI images at once, many of them killed',
  short: 3,
  full: 60,
  run: async ({ ground, seeds, tally, isFull }) => {
    const counts = { done: 0, killed: 0, refused: 0 };
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const findings = await surveyed(ground, seed, 'embed', async () => {
        const cleanups: (() => unknown)[] = [];
        // All that the registry wants of a test is to be told its end.
        const context = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext;
        const cache = join(ground.directory, 'images');
        mkdirSync(cache, { mode: 0o755 });
        try {
          const registry = await registryOfImages(context);
          const works = Array.from({ length: isFull ? FULL_WORKS : SHORT_WORKS }, () => workOf(choices, registry));
          const found: string[] = [];
          const lane = async () => {
            for (let next = works.shift(); next !== undefined; next = works.shift())
              found.push(...(await carryOut(ground, cache, next, counts)));
          };
          await Promise.all([lane(), lane()]);
          return { findings: [...found, ...(await looked(ground, cache, registry))] };
        } finally {
          for (const cleanup of cleanups) cleanup();
          rmSync(cache, { recursive: true, force: true });
        }
      });
      tally.ran(seed, 'images', findings);
    }
    return `${counts.done} done, ${counts.killed} killed, ${counts.refused} refused`;
  },
};

/** Images on a layer that all have, each with one of its own. */
async function registryOfImages(context: TestContext): Promise<TestRegistry> {
  const registry = await startRegistry(context);
  const below = tarOf(
    { name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\n' },
    { name: 'a', data: randomBytes(4 << 20) },
  );
  for (const tag of TAGS) registry.add(testImage([below, tarOf({ name: tag, data: randomBytes(2 << 20) })]), tag);
  return registry;
}

function workOf(choices: Choices, registry: TestRegistry): Work {
  const [command = '', ...options] = choices.one(WORKS).split(' ');
  const image = imageIn(registry, choices.one(TAGS));
  const named = ['pull', 'rm', 'tag', 'inspect', 'diff'].includes(command) ? [image] : [];
  const other = command === 'tag' ? [imageIn(registry, choices.one(TAGS))] : [];
  const kill = choices.chance(40) ? choices.below(LATEST_KILL) : undefined;
  return { words: [command, ...options, ...named, ...other], kill };
}

async function carryOut(
  ground: Ground,
  cache: string,
  { words, kill }: Work,
  counts: { done: number; killed: number; refused: number },
): Promise<string[]> {
  const running = startSandbox(words, optionsOf(ground, cache));
  if (kill !== undefined) {
    // What ends before is not killed.
    await Promise.race([sleep(kill), running.result.catch(() => {})]);
    running.child.kill('SIGKILL');
  }
  const ended = await running.result.catch(() => undefined);
  if (ended === undefined) return [`${words.join(' ')} hangs`];
  const stderr = ended.stderr.replace(/^virt-sandbox-image: [^;\n]*\n/gm, '');
  if (ended.code === 0 && stderr === '') counts.done += 1;
  else if (ended.signal === 'SIGKILL' && kill !== undefined) counts.killed += 1;
  else if (ended.code === 125 && EXPECTED.test(stderr)) counts.refused += 1;
  else return [`${words.join(' ')} has status ${ended.code ?? ended.signal}: ${ended.stderr.slice(-600)}${ended.out}`];
  return [];
}

/** All images that are there are whole and can be pulled, and `prune --all` leaves nothing of any. */
async function looked(ground: Ground, cache: string, registry: TestRegistry): Promise<string[]> {
  const findings: string[] = [];
  const pulls = TAGS.map((tag) => ['pull', imageIn(registry, tag)]);
  for (const words of [['verify'], ['prune'], ['verify'], ...pulls, ['verify'], ['prune', '--all']]) {
    const ended = await endOf(words, optionsOf(ground, cache), BOUND_MS);
    if (ended?.code !== 0) findings.push(`${words.join(' ')} at the end: ${ended?.out}${ended?.stderr.slice(-600)}`);
  }
  const store = join(cache, 'virt-sandbox', 'oci');
  for (const folder of ['blobs/sha256', 'partial', 'tags', 'roots', 'locks']) {
    const left = readdirSync(join(store, folder)).filter((name) => name !== '.leases');
    if (left.length > 0) findings.push(`left in ${folder}: ${left.join(', ')}`);
  }
  return findings;
}

function optionsOf(ground: Ground, cache: string): RunOptions {
  const options = ground.optionsOf('embed');
  const env = { ...options.env, XDG_CACHE_HOME: cache, XDG_RUNTIME_DIR: cache };
  return { ...options, program: `${PROGRAM}-image`, env, timeout: BOUND_MS };
}

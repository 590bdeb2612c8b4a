/** Scenario `damage`: bits are flipped in one file of the store, and sandboxes are started from it. */
import { closeSync, cpSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join, relative } from 'node:path';
import { PROGRAM } from '../helpers/run.js';
import type { Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { argumentsOf } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 90_000;

/** What a start does with the damage. */
const WAYS = ['auto', 'cold', 'warm'] as const;

/** Most bits to flip. */
const MOST_BITS = 64;

export const damage: Scenario = {
  name: 'damage',
  what: 'bits flipped in a file of the store',
  short: 10,
  full: 120,
  run: async ({ ground, seeds, tally }) => {
    const cache = join(ground.directory, 'damaged');
    const files = filesOf(join(ground.directory, 'cache'));
    const outcomes = new Map<string, number>();
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      // Every file has its turn; alone, a seed chooses one.
      const file = files[seed % files.length] ?? '';
      const way = choices.one(WAYS);
      const bits = choices.chance(50) ? 1 : choices.between(2, MOST_BITS);
      const findings = await surveyed(ground, seed, 'embed', async (name) => {
        cpSync(join(ground.directory, 'cache'), cache, { recursive: true, preserveTimestamps: true });
        flip(join(cache, file), bits, choices);
        const { findings, outcome } = await start(ground, name, cache, way);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        findings.push(...(await inspect(cache)));
        rmSync(cache, { recursive: true, force: true });
        return { findings };
      });
      tally.ran(seed, `${bits} bits of ${file}, --boot ${way}`, findings);
    }
    const counts = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`);
    return `${files.length} files; ${counts.join(', ')}`;
  },
};

/** Every file of the store that has content. */
function filesOf(cache: string): string[] {
  return readdirSync(cache, { recursive: true, encoding: 'utf8' })
    .map((name) => join(cache, name))
    .filter((path) => statSync(path).isFile() && statSync(path).size > 0)
    .map((path) => relative(cache, path))
    .sort();
}

function flip(path: string, bits: number, choices: Choices): void {
  const file = openSync(path, 'r+');
  try {
    const { size } = statSync(path);
    const byte = Buffer.alloc(1);
    for (let count = 0; count < bits; count += 1) {
      const at = choices.below(size);
      readSync(file, byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ (1 << choices.below(8));
      writeSync(file, byte, 0, 1, at);
    }
  } finally {
    closeSync(file);
  }
}

/** Starts a sandbox from the damaged store: it runs as if nothing were, or says what is wrong. */
async function start(ground: Ground, name: string, cache: string, boot: (typeof WAYS)[number]) {
  const none = { boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
  const args = [...argumentsOf(ground, name, { driver: 'embed', ...none }), '--boot', boot];
  const env = { XDG_CACHE_HOME: cache };
  const ended = await endOf([...args, '--', 'sh', '-c', 'echo whole; exit 7'], { env }, BOUND_MS);
  const findings: string[] = [];
  if (ended === undefined) return { findings: ['the start hangs'], outcome: 'hangs' };
  const { code, signal, out, stderr } = ended;
  const isStarted = code === 7 && out === 'whole\n';
  const isRefused = code === 125 && out === '' && FAILURE.test(stderr);
  if (!isStarted && !isRefused) findings.push(`status ${code ?? signal}: ${out}${stderr.slice(-600)}`);
  return { findings, outcome: isStarted ? 'started' : isRefused ? 'refused' : 'wrong' };
}

/** What virt-sandbox-bake says of the store afterwards: an answer, and never a crash. */
async function inspect(cache: string): Promise<string[]> {
  const findings: string[] = [];
  for (const command of ['list', 'verify --all', 'prune', 'create']) {
    const ended = await endOf(
      command.split(' '),
      { program: `${PROGRAM}-bake`, env: { XDG_CACHE_HOME: cache } },
      BOUND_MS,
    );
    const { code, signal, stderr } = ended ?? { code: undefined, signal: null, stderr: '' };
    const isRight = code === 0 || (code === 1 && command === 'verify --all') || (code === 125 && FAILURE.test(stderr));
    if (!isRight) findings.push(`${command}: status ${code ?? signal ?? 'none'}: ${stderr.slice(-600)}`);
  }
  return findings;
}

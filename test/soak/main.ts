/** The soak: node scripts/soak.mjs [--only NAME]… [--seed N] [--count N] [--hours N] [--json] */
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { markdown } from '../../src/bench/result/markdown.js';
import { attackers } from './attackers.js';
import { builders } from './builders.js';
import { clock } from './clock.js';
import { damage } from './damage.js';
import { detached } from './detached.js';
import { fleet } from './fleet.js';
import { Ground } from './ground.js';
import { guestFaults } from './guest-faults.js';
import { hostile } from './hostile.js';
import { imageRoots } from './image-roots.js';
import { imageStore } from './image-store.js';
import { images } from './images.js';
import { kept } from './kept.js';
import { mounts } from './mounts.js';
import { overlay } from './overlay.js';
import { seedsFrom } from './plan.js';
import { poolShell } from './pool-shell.js';
import { pools } from './pools.js';
import type { Finding, Scenario } from './scenario.js';
import { screens } from './screens.js';
import { services } from './services.js';
import { shares } from './shares.js';
import { shortage } from './shortage.js';
import { signals } from './signals.js';
import { starts } from './starts.js';
import { suspend } from './suspend.js';
import { talking } from './talking.js';
import { templates } from './templates.js';
import { versions } from './versions.js';

const SCENARIOS: readonly Scenario[] = [
  signals,
  starts,
  builders,
  images,
  fleet,
  damage,
  shortage,
  shares,
  mounts,
  guestFaults,
  clock,
  suspend,
  kept,
  versions,
  imageStore,
  services,
  templates,
  talking,
  pools,
  poolShell,
  detached,
  screens,
  overlay,
  imageRoots,
  hostile,
  attackers,
];

/** In minutes: the time of a short soak, shared by its scenarios. */
const SHORT_MINUTES = 5;

interface Options {
  readonly scenarios: readonly Scenario[];
  readonly seed: number;
  /** Runs of each scenario; undefined: as many as it has. */
  readonly count: number | undefined;
  /** Full counts, and rounds until this time is over; undefined: a short soak. */
  readonly hours: number | undefined;
  readonly json: boolean;
}

/** What the caller has made ready. */
export interface Surroundings {
  /** The version of virt-sandbox, with its revision. */
  readonly version: string;
  /** A directory for everything that is needed. */
  readonly directory: string;
  /** Makes the mounts that libvirtd needs for containers. */
  readonly lxcScript: string;
}

/** A row of the table. */
interface Result {
  readonly scenario: string;
  readonly what: string;
  readonly runs: number;
  readonly findings: number;
  readonly figures: string;
  readonly seed: number;
  readonly seconds: number;
}

/**
 * Runs the soak, and prints the table.
 * @returns the exit status: 1 if something was found, 2 for wrong arguments
 */
export async function soak(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  let options: Options;
  try {
    options = parse(argv);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 2;
  }
  const directory = `${surroundings.directory}/ground`;
  mkdirSync(directory, { mode: 0o755 });
  const told = new AbortController();
  process.once('SIGTERM', () => told.abort());
  const ground = await Ground.make(directory, surroundings.lxcScript, say);
  try {
    const { results, findings } = await runAll(ground, options, told.signal);
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ version: surroundings.version, results, findings }, null, 2)}\n`
        : `virt-sandbox ${surroundings.version}\n\n${tableOf(results)}`,
    );
    return findings.length === 0 ? 0 : 1;
  } finally {
    await ground.end();
  }
}

async function runAll(
  ground: Ground,
  options: Options,
  told: AbortSignal,
): Promise<{ results: Result[]; findings: Finding[] }> {
  const findings: Finding[] = [];
  const results: Result[] = [];
  const start = Date.now();
  let { seed } = options;
  do {
    for (const scenario of options.scenarios) {
      if (told.aborted) break;
      results.push(await runScenario(ground, scenario, seed, options, findings, told));
      seed += results.at(-1)?.runs ?? 0;
    }
  } while (!told.aborted && options.hours !== undefined && Date.now() - start < options.hours * 3_600_000);
  return { results, findings };
}

async function runScenario(
  ground: Ground,
  scenario: Scenario,
  seed: number,
  { scenarios, hours, count }: Options,
  all: Finding[],
  told: AbortSignal,
): Promise<Result> {
  const { name, what } = scenario;
  const start = Date.now();
  const before = all.length;
  // A count that was asked for has all the time that it takes.
  const isTimed = hours === undefined && count === undefined;
  const deadline = isTimed ? start + (SHORT_MINUTES * 60_000) / scenarios.length : Number.POSITIVE_INFINITY;
  const planned = count ?? (hours === undefined ? scenario.short : scenario.full);
  const seconds = () => Math.round((Date.now() - start) / 1000);
  let runs = 0;
  const tally = {
    ran: (of: number, run: string, found: readonly string[]) => {
      runs += 1;
      say(`${name} ${runs}/${planned}, seed ${of}, ${seconds()} s: ${run}${found.length === 0 ? '' : ' ** FOUND **'}`);
      if (found.length === 0) return;
      all.push({ scenario: name, seed: of, run, what: found });
      for (const text of found) say(`  ${text}`);
      say(`  again: make soak ONLY=${name} SEED=${of} COUNT=1`);
    },
  };
  const seeds = function* () {
    for (const next of seedsFrom(seed, planned)) {
      if (told.aborted || Date.now() >= deadline) return;
      yield next;
    }
  };
  let figures: string;
  try {
    figures = await scenario.run({ ground, seeds, tally, isFull: hours !== undefined, say });
  } catch (error) {
    figures = `failed: ${error instanceof Error ? error.message : String(error)}`;
    all.push({ scenario: name, seed, run: name, what: [figures] });
    say(`${name} ${figures}`);
  }
  return { scenario: name, what, runs, findings: all.length - before, figures, seed, seconds: seconds() };
}

function tableOf(results: readonly Result[]): string {
  return markdown(
    ['scenario', 'runs', 'findings', 'figures', 'seed', 'time'],
    results.map(({ scenario, what, runs, findings, figures, seed, seconds }) => [
      `\`${scenario}\`: ${what}`,
      ...[runs, findings === 0 ? 'none' : `**${findings}**`, figures, seed, `${seconds} s`].map(String),
    ]),
  );
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true },
      seed: { type: 'string' },
      count: { type: 'string' },
      hours: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const names = values.only ?? SCENARIOS.map(({ name }) => name);
  const scenarios = names.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found !== undefined) return found;
    throw new Error(`--only takes ${SCENARIOS.map((scenario) => scenario.name).join(', ')}, not ${name}`);
  });
  return {
    scenarios,
    seed: number('--seed', values.seed, 0) ?? Date.now() % 1_000_000_000,
    count: number('--count', values.count, 1),
    hours: values.hours === undefined ? undefined : Number(values.hours),
    json: values.json,
  };
}

function number(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`${option} takes a whole number from ${least}, not ${text}`);
}

function say(text: string): void {
  process.stderr.write(`soak: ${text}\n`);
}

/** Scenario `starts`: many in a row and twenty at once, while memory, descriptors and directories stay as they are. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Driver, type Ground, URIS } from './ground.js';
import { usageOf } from './processes.js';
import { argumentsOf } from './sandbox.js';
import type { Context, Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const AT_ONCE = 20;
/** The two that take turns. */
const IN_TURN = ['system', 'embed'] as const;

/** In milliseconds, for one alone, and for one of twenty. */
const BOUND_MS = 60_000;
const AT_ONCE_BOUND_MS = 300_000;

/** After how many runs a store has its directories, and after how many libvirtd the memory that it keeps. */
const SETTLED = 5;
const MEMORY_SETTLED = 100;

/** Fewer runs have no 99th percentile. */
const MEASURED = 100;
/** The 99th percentile of those alone is at most this many medians. */
const LIMIT = 2;

/** How much libvirtd may grow from then to the last run: it keeps some memory for itself. */
const GROWTH_KIB = 4096;

export const starts: Scenario = {
  name: 'starts',
  what: 'starts in a row, then 20 at once',
  short: 20,
  full: 1000,
  run: async (context) => {
    const { ground, seeds, tally } = context;
    const times: Record<(typeof IN_TURN)[number], number[]> = { system: [], embed: [] };
    let early: Counted | undefined;
    let settled: Counted | undefined;
    let last = 0;
    let index = 0;
    for (const seed of seeds()) {
      const driver = IN_TURN[index % 2] ?? 'embed';
      const findings = await alone(ground, seed, driver, times[driver]);
      last = seed;
      index += 1;
      if (index === SETTLED) early = countOf(ground);
      if (index === MEMORY_SETTLED) settled = countOf(ground);
      tally.ran(seed, `${driver}, alone`, findings);
    }
    const late = countOf(ground);
    tally.ran(last, 'all in a row', [...slow(times), ...grown(early, late), ...swollen(settled, late)]);
    const rates = await atOnce(context, last);
    return [
      ...IN_TURN.map((driver) => `${driver} ${figures(times[driver])}`),
      counted(early, settled, late),
      ...rates,
    ].join('; ');
  },
};

async function alone(ground: Ground, seed: number, driver: Driver, times: number[]): Promise<string[]> {
  const one = async (name: string) => {
    const began = performance.now();
    const found = await plain(ground, name, driver, BOUND_MS);
    times.push((performance.now() - began) / 1000);
    return { findings: found };
  };
  return surveyed(ground, seed, driver, one, { isFollowed: false });
}

async function plain(ground: Ground, name: string, driver: Driver, boundMs: number): Promise<string[]> {
  const none = { boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
  const args = [...argumentsOf(ground, name, { driver, ...none }, boundMs / 1000), '--', 'sh', '-c', 'echo x; exit 7'];
  const ended = await endOf(args, ground.optionsOf(driver), boundMs);
  if (ended === undefined) return ['it hangs'];
  const { code, signal, out, stderr } = ended;
  return code === 7 && out === 'x\n' && stderr === '' ? [] : [`status ${code ?? signal}: ${out}${stderr}`];
}

/** Twenty at once, over each of the two. @returns figures */
async function atOnce({ ground, tally, isFull }: Context, seed: number): Promise<string[]> {
  const figures: string[] = [];
  for (const driver of isFull ? IN_TURN : (['embed'] as const)) {
    let seconds = 0;
    const findings = await surveyed(ground, seed, driver, async (name) => {
      const began = performance.now();
      const numbers = Array.from({ length: AT_ONCE }, (_, index) => index);
      const all = numbers.map((number) => plain(ground, `${name}-${number}`, driver, AT_ONCE_BOUND_MS));
      const found = (await Promise.all(all)).flat();
      seconds = (performance.now() - began) / 1000;
      return { findings: found };
    });
    tally.ran(seed, `${driver}, ${AT_ONCE} at once`, findings);
    figures.push(`${driver} ${AT_ONCE} at once ${(AT_ONCE / seconds).toFixed(2)}/s`);
  }
  return figures;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

function figures(times: readonly number[]): string {
  const [median, most] = [percentile(times, 0.5), percentile(times, 0.99)];
  return `median ${median.toFixed(2)} s, p99 ${most.toFixed(2)} s (${(most / median).toFixed(2)} ×, n=${times.length})`;
}

function slow(times: Readonly<Record<string, readonly number[]>>): string[] {
  return Object.entries(times)
    .filter(([, values]) => values.length >= MEASURED && percentile(values, 0.99) > LIMIT * percentile(values, 0.5))
    .map(([driver, values]) => `${driver}: the limit is ${LIMIT} medians, and it is ${figures(values)}`);
}

/** What has to stay as it is. Control groups are looked for after each start. */
interface Counted {
  readonly kib: number;
  readonly descriptors: number;
  readonly entries: number;
  readonly mounts: number;
  readonly loops: number;
}

function countOf(ground: Ground): Counted {
  const daemon = usageOf(ground.daemons.libvirtd(URIS.system) ?? 0) ?? { kib: 0, descriptors: 0 };
  const store = join(ground.directory, 'cache/virt-sandbox');
  return {
    ...daemon,
    entries: readdirSync(store, { recursive: true }).length,
    mounts: readFileSync('/proc/self/mounts', 'utf8').split('\n').length - 1,
    loops: readdirSync('/sys/block').filter((name) => existsSync(`/sys/block/${name}/loop/backing_file`)).length,
  };
}

function grown(early: Counted | undefined, late: Counted): string[] {
  if (early === undefined) return [];
  const names = ['descriptors', 'entries', 'mounts', 'loops'] as const;
  const more = names.filter((name) => late[name] > early[name]).map((name) => `${name}: ${early[name]}, ${late[name]}`);
  return more.map((what) => `it grows: ${what}`);
}

function swollen(settled: Counted | undefined, { kib }: Counted): string[] {
  if (settled === undefined || kib <= settled.kib + GROWTH_KIB) return [];
  return [`it grows: KiB of libvirtd: ${settled.kib}, ${kib}`];
}

function counted(early: Counted | undefined, settled: Counted | undefined, late: Counted): string {
  const from = (name: keyof Counted) => (early === undefined ? '' : `${early[name]} → `);
  const { kib, descriptors, entries, mounts } = late;
  const memory = `${settled === undefined ? '' : `${(settled.kib / 1024).toFixed(1)} → `}${(kib / 1024).toFixed(1)} MiB`;
  const daemon = `libvirtd ${memory}, ${from('descriptors')}${descriptors} descriptors`;
  return `${daemon}; store ${from('entries')}${entries} entries; mounts ${from('mounts')}${mounts}`;
}

/**
 * Searches for a profile: what is worth something by itself is put together, as long as the guest still does what it should, and the whole is
 * measured again. Only what is known, or found by measuring, to be dispensable is tried.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownProfiles } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { makeDirectories } from '../../util/directories.js';
import { type Comparison, type Result, variantResult } from '../result/result.js';
import { percent } from '../result/text.js';
import { amount, measureInTurns } from '../run/series.js';
import type { Session } from '../run/session.js';
import type { SandboxVariant } from '../run/variant.js';
import { adding, measureChanges, measuredInitcalls, namesIn, patiently, type Repetitions } from './ablate.js';
import { CANDIDATES, type Candidate } from './candidates.js';

export interface TuneOptions extends Repetitions {
  readonly name: string;
  /** Where the profile goes; default: where virt-sandbox finds it by its name. */
  readonly path?: string | undefined;
  /** Only candidates whose name this matches. */
  readonly only?: RegExp | undefined;
}

/** What is worth less, as a share, is not worth its risk. */
const LEAST_WORTH = 0.001;
/** Initcalls that take less are not tried, in microseconds of the guest's clock. */
const LEAST_INITCALL = 1000;

/** Every set of modules must load, so that networks, disks, ext4 and overlays are there. */
const MODULE_SETS = ['network', 'block', 'overlay'];

/** What must work in a guest; each line says what. */
export const CHECK = [
  'test "$(id -u)" = "$(stat -c %u /proc/self)" # users',
  'grep -q MemTotal /proc/meminfo # proc',
  'test -e /sys/class/net/lo # interfaces',
  'test -e /proc/net/tcp && test -e /proc/net/tcp6 # IPv4 and IPv6',
  'grep -q ext4 /proc/filesystems && grep -q overlay /proc/filesystems # file systems',
  'grep -q 9p /proc/mounts # the root',
  'echo written >/tmp/file && test "$(cat /tmp/file)" = written # tmpfs',
  'date >/dev/null; test -c /dev/null && test -r /dev/urandom # devices',
  'echo | cat | wc -l >/dev/null # pipes and processes',
].join('\n');

export async function tune(session: Session, start: SandboxVariant, options: TuneOptions): Promise<Result> {
  const { say } = session;
  const profile = { ...start.profile, moduleSets: MODULE_SETS };
  const base: SandboxVariant = { ...start, profile, command: ['sh', '-ec', CHECK] };
  const here = namesIn(profile);
  const known = CANDIDATES.filter(({ name, harmful }) => !here.has(name) && harmful !== true);
  const patient = patiently(base);
  const found = await measuredInitcalls(session, patient, LEAST_INITCALL);
  say(`${known.length} candidates are known, ${found.length} were found among the initcalls`);
  const candidates = [...known, ...found.filter(({ name }) => !here.has(name))].filter(
    ({ name }) => options.only?.test(name) ?? true,
  );
  const alone = await measureChanges(session, base, candidates.map(adding), options, 'tune');
  const worth = new Map(alone.comparisons.map((one) => [one.label, one]));
  const kept = candidates
    .filter((candidate) => isWorthIt(worth.get(adding(candidate).label)))
    .sort((a, b) => ratioOf(worth, a) - ratioOf(worth, b));
  if (alone.interrupted || kept.length === 0) {
    say(alone.interrupted ? 'interrupted: no profile is written' : 'nothing is worth anything: no profile is written');
    return alone;
  }
  const { chosen, series, interrupted } = await together(session, patient, kept);
  if (interrupted) {
    say('interrupted before all of it was seen to work together: no profile is written');
    return { ...alone, interrupted };
  }
  const whole = alone.variants[0]?.summary?.median ?? 0;
  const written = profileOf(start.profile, options.name, chosen, worth, whole, session);
  const path = options.path ?? join(ownProfiles(), `${options.name}.json`);
  makeDirectories(dirname(path));
  writeFileSync(path, `${JSON.stringify(written, null, 2)}\n`);
  say(`${chosen.length} of ${candidates.length} are in the profile ${path}`);
  return { ...alone, variants: [...alone.variants, ...series.map((one) => variantResult(one))] };
}

/** All that is worth something at once; where the guest does not do what it should then, one after the other, and what breaks it is left out. */
async function together(session: Session, base: SandboxVariant, kept: readonly Candidate[]) {
  const attempt = async (candidates: readonly Candidate[], label: string) => {
    const profile = candidates.reduce((one, candidate) => adding(candidate).apply(one), base.profile);
    return measureInTurns([{ ...base, label, profile }], { ...session, runs: 1, warmUp: 0 });
  };
  const all = await attempt(kept, 'all together');
  if (all.interrupted || all.series[0]?.failure === undefined) return { chosen: kept, ...all };
  session.say('not all at once: one after the other');
  let chosen: Candidate[] = [];
  let { series } = all;
  for (const candidate of kept) {
    const tried = await attempt([...chosen, candidate], `together with ${candidate.name}`);
    if (tried.interrupted) return { chosen, ...tried };
    if (tried.series[0]?.failure !== undefined) continue;
    chosen = [...chosen, candidate];
    series = tried.series;
  }
  return { chosen, series, interrupted: false };
}

function isWorthIt(one: Comparison | undefined): boolean {
  return one !== undefined && one.verdict === 'faster' && 1 - one.ratio >= LEAST_WORTH;
}

function ratioOf(worth: ReadonlyMap<string, Comparison>, candidate: Candidate): number {
  return worth.get(adding(candidate).label)?.ratio ?? 1;
}

function profileOf(
  base: Profile,
  name: string,
  chosen: readonly Candidate[],
  worth: ReadonlyMap<string, Comparison>,
  whole: number,
  session: Session,
): Profile {
  const tuned = chosen.reduce((one, candidate) => adding(candidate).apply(one), base);
  const measured = (label: string) => {
    const one = worth.get(label);
    return one ? worthText(one, whole, session.unit) : undefined;
  };
  return {
    ...tuned,
    name,
    description: `Tuned from ${base.name} for Linux ${session.host.kernel} on QEMU ${session.host.qemu}.`,
    kernelArguments: tuned.kernelArguments.map((one) => ({
      ...one,
      worth: measured(`with ${one.argument}`) ?? one.worth,
    })),
    initcallBlacklist: tuned.initcallBlacklist.map((one) => ({
      ...one,
      worth: measured(`skipping ${one.initcall}`) ?? one.worth,
    })),
  };
}

/** What something by itself is worth, for a profile. */
export function worthText({ ratio }: Comparison, whole: number, unit: Session['unit']): string {
  return `${amount(Math.abs(1 - ratio) * whole, unit)} of ${amount(whole, unit)} (${percent(Math.abs(1 - ratio))})`;
}

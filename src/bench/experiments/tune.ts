/**
 * Searches for a profile. Each candidate is measured by itself; those that save something are put together, as long as
 * the guest still passes its check, and the whole is measured again. Candidates are the known ones, and long initcalls
 * that nothing is known to need.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownProfiles } from '../../profile/load.js';
import type { Profile } from '../../profile/types.js';
import { makeDirectories } from '../../util/directories.js';
import { type Comparison, type Result, variantResult } from '../result/result.js';
import { percent } from '../result/text.js';
import type { Say } from '../run/progress.js';
import { amount, type Measured, measureInTurns } from '../run/series.js';
import type { Session } from '../run/session.js';
import type { SandboxVariant } from '../run/variant.js';
import { measureChanges, patiently, type Repetitions } from './ablate.js';
import { CANDIDATES, type Candidate } from './candidates.js';
import { adding, namesIn } from './changes.js';
import { measuredInitcalls } from './initcalls.js';

export interface TuneOptions extends Repetitions {
  readonly name: string;
  /** File for the profile; default: where virt-sandbox finds it by its name. */
  readonly path?: string | undefined;
  /** Tries only candidates whose name this matches. */
  readonly only?: RegExp | undefined;
}

/** A candidate that saves a smaller share of the boot is not worth its risk. */
const LEAST_IMPACT = 0.001;
/** Shorter initcalls are not tried; microseconds of the guest's clock. */
const LEAST_INITCALL = 1000;

/** These sets of modules must load, so that the check covers networks, disks, ext4 and overlays. */
const MODULE_SETS = ['network', 'block', 'overlay'];

/** The check that a tuned guest must pass: one line for each feature. */
export const CHECK = [
  'test "$(id -u)" = "$(stat -c %u /proc/self)" # users',
  'grep -q MemTotal /proc/meminfo # proc',
  'test -e /sys/class/net/lo # interfaces',
  'test -e /proc/net/tcp && test -e /proc/net/tcp6 # IPv4 and IPv6',
  'grep -q ext4 /proc/filesystems && grep -q overlay /proc/filesystems # file systems',
  'grep -qE "9p|virtiofs" /proc/mounts # the root',
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
  const attempt: Attempt = (chosen, label) =>
    measureInTurns([{ ...patient, label, profile: withAll(patient.profile, chosen) }], {
      ...session,
      runs: 1,
      warmUp: 0,
    });
  return writeProfile(session, start.profile, { ...options, candidates, alone, attempt });
}

/** One run with all of these candidates. */
export type Attempt = (candidates: readonly Candidate[], label: string) => Promise<Measured>;

export interface Found extends Pick<TuneOptions, 'name' | 'path'> {
  readonly candidates: readonly Candidate[];
  /** What each candidate is worth by itself. */
  readonly alone: Result;
  readonly attempt: Attempt;
}

/** Writes `base` with what helps and was seen to work together. Without such a run it writes nothing. */
export async function writeProfile(
  session: Pick<Session, 'say' | 'unit' | 'host'>,
  base: Profile,
  { name, path = join(ownProfiles(), `${name}.json`), candidates, alone, attempt }: Found,
): Promise<Result> {
  const { say } = session;
  const impacts = new Map(alone.comparisons.map((one) => [one.label, one]));
  const kept = candidates
    .filter((candidate) => isWorthItsRisk(impacts.get(adding(candidate).label)))
    .sort((a, b) => ratioOf(impacts, a) - ratioOf(impacts, b));
  if (alone.interrupted || kept.length === 0) {
    say(alone.interrupted ? 'interrupted: no profile is written' : 'nothing is worth anything: no profile is written');
    return alone;
  }
  const { chosen, series, interrupted } = await together(kept, attempt, say);
  if (interrupted) {
    say('interrupted before all of it was seen to work together: no profile is written');
    return { ...alone, interrupted };
  }
  if (chosen.length === 0) {
    say('none of them works: no profile is written');
    return alone;
  }
  const whole = alone.variants[0]?.summary?.median ?? 0;
  const written = profileOf(base, name, chosen, impacts, whole, session);
  makeDirectories(dirname(path));
  writeFileSync(path, `${JSON.stringify(written, null, 2)}\n`);
  say(`${chosen.length} of ${candidates.length} are in the profile ${path}`);
  return { ...alone, variants: [...alone.variants, ...series.map((one) => variantResult(one))] };
}

/**
 * Puts all kept candidates together. When the guest then fails its check, adds them one by one and leaves out those
 * that break it.
 */
async function together(kept: readonly Candidate[], attempt: Attempt, say: Say) {
  const all = await attempt(kept, 'all together');
  if (all.interrupted || all.series[0]?.failure === undefined) return { chosen: kept, ...all };
  say('not all at once: one after the other');
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

function withAll(base: Profile, candidates: readonly Candidate[]): Profile {
  return candidates.reduce((one, candidate) => adding(candidate).apply(one), base);
}

function isWorthItsRisk(one: Comparison | undefined): boolean {
  return one !== undefined && one.verdict === 'faster' && 1 - one.ratio >= LEAST_IMPACT;
}

function ratioOf(impacts: ReadonlyMap<string, Comparison>, candidate: Candidate): number {
  return impacts.get(adding(candidate).label)?.ratio ?? 1;
}

function profileOf(
  base: Profile,
  name: string,
  chosen: readonly Candidate[],
  impacts: ReadonlyMap<string, Comparison>,
  whole: number,
  session: Pick<Session, 'unit' | 'host'>,
): Profile {
  const tuned = withAll(base, chosen);
  // Counting is emulating, also on a host with KVM.
  const underKvm = session.host.acceleration === 'kvm' && session.unit === 's';
  const measured = (label: string) => {
    const one = impacts.get(label);
    if (one === undefined) return {};
    return { [underKvm ? 'worthKvm' : 'worth']: impactText(one, whole, session.unit) };
  };
  return {
    ...tuned,
    name,
    description:
      `Tuned from ${base.name} for Linux ${session.host.kernel} on QEMU ${session.host.qemu}` +
      `${underKvm ? ' under KVM' : ''}.`,
    kernelArguments: tuned.kernelArguments.map((one) => ({
      ...one,
      ...measured(`with ${one.argument}`),
    })),
    initcallBlacklist: tuned.initcallBlacklist.map((one) => ({
      ...one,
      ...measured(`skipping ${one.initcall}`),
    })),
  };
}

/** The impact of one change by itself, as a profile states it under `worth`. */
export function impactText({ ratio }: Comparison, whole: number, unit: Session['unit']): string {
  return `${amount(Math.abs(1 - ratio) * whole, unit)} of ${amount(whole, unit)} (${percent(Math.abs(1 - ratio))})`;
}

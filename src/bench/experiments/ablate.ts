/**
 * Measures what each kernel argument, initcall, part of the machine and set of modules is worth: a boot with it against
 * one without.
 */
import {
  baselineFor,
  type Comparison,
  makeResult,
  type Result,
  type VariantResult,
  variantResult,
} from '../result/result.js';
import { ENOUGH } from '../result/statistics.js';
import { exitLines, failureLine, percent, settingLines, table } from '../result/text.js';
import { COLD } from '../run/baseline.js';
import { amount, measureInTurns, type Series } from '../run/series.js';
import type { Session } from '../run/session.js';
import type { SandboxVariant } from '../run/variant.js';
import { type Change, changesOf } from './changes.js';
import { baselinesOf } from './measure.js';

/** Runs of the unchanged boot where instructions are counted: their spread says how exact the counts are. */
const BASE_RUNS = 2;
/** Boot timeout of the unchanged boot, enough for a very busy machine. */
const PATIENCE_SECONDS = 150;
/** A changed kernel that takes this many times as long as the unchanged one counts as hung. */
const TIMES_AS_LONG = 4;
const AT_LEAST_SECONDS = 20;

/** How often each change is measured. */
export interface Repetitions {
  readonly runs: number;
  /** Runs of each before those; they do not count. */
  readonly warmUp: number;
}

export interface AblationOptions extends Repetitions {
  /** Measures only the changes whose label this matches. */
  readonly only?: RegExp | undefined;
}

export async function ablate(session: Session, base: SandboxVariant, options: AblationOptions): Promise<Result> {
  const { only } = options;
  const changes = changesOf(base.profile).filter(({ label }) => only?.test(label) ?? true);
  session.say(`${changes.length} changes to measure`);
  return measureChanges(session, base, changes, options, 'ablate');
}

/**
 * Measures each change by itself. One run of the unchanged boot comes first and sets the boot timeout of the others.
 */
export async function measureChanges(
  session: Session,
  base: SandboxVariant,
  changes: readonly Change[],
  { runs, warmUp }: Repetitions,
  kind: 'ablate' | 'tune',
): Promise<Result> {
  const counts = session.unit === 'instructions';
  const patient = patiently(base);
  const before = await measureInTurns([patient], { ...session, runs: counts ? BASE_RUNS : 1, warmUp: 0 });
  const seconds = Math.max(
    ...before.series.flatMap(({ samples }) => samples.map(({ timeline }) => (timeline?.wall ?? 0) / 1e6)),
  );
  const patience = Math.ceil(AT_LEAST_SECONDS + TIMES_AS_LONG * seconds);
  const changed = changes.map(({ label, apply }): SandboxVariant => {
    return { ...base, label, options: within(patience, base.options), profile: apply(base.profile) };
  });
  const series: Series[] = counts ? [...before.series] : [];
  let { interrupted } = before;
  const rounds = counts
    ? changed.map((one) => ({ variants: [one], runs, warmUp: 0 }))
    : [{ variants: [patient, ...changed, ...(await baselinesOf(session, [patient]))], runs, warmUp }];
  for (const round of before.series[0]?.failure === undefined ? rounds : []) {
    if (interrupted) break;
    const measured = await measureInTurns(round.variants, { ...session, ...round });
    series.push(...measured.series.filter(({ samples, failure }) => samples.length > 0 || failure !== undefined));
    interrupted = measured.interrupted;
  }
  const results = series.map((one) => variantResult(one));
  return makeResult(kind, session, { interrupted }, results);
}

/** The same variant with a boot timeout for a very busy machine. */
export function patiently(variant: SandboxVariant): SandboxVariant {
  return { ...variant, options: within(PATIENCE_SECONDS, variant.options) };
}

/** Options with a boot timeout, and a cold boot even where a snapshot fits. An option of `options` wins over both. */
function within(seconds: number, options: readonly string[]): string[] {
  return ['--boot-timeout', String(seconds), ...COLD, ...options];
}

export function ablationText(result: Result): string {
  const { variants, comparisons, unit } = result;
  const [base] = variants;
  if (!base?.summary) return 'Nothing was measured.\n';
  const whole = base.summary.median;
  const changes = comparisons.filter(({ against }) => against === base.label);
  const exits = (label: string) =>
    exitsChange(
      base,
      variants.find((one) => one.label === label),
    );
  // One run of each has exact exits and no time that is worth anything.
  const saved = ({ label }: Comparison) => exitsToQemu(variants.find((one) => one.label === label)?.exits);
  const byExits = base.exits !== undefined && base.summary.runs < ENOUGH;
  const rows = changes
    .sort((a, b) => (byExits ? saved(a) - saved(b) : 0) || a.ratio - b.ratio)
    .map(({ label, ratio, low, high, verdict }) => [
      label,
      `${ratio < 1 ? '−' : '+'}${amount(Math.abs(ratio - 1) * whole, unit)}`,
      percent(ratio - 1),
      `${percent(low - 1)} … ${percent(high - 1)}`,
      ...exits(label),
      verdict === 'undecided' ? 'no difference seen' : '',
    ]);
  const failed = variants.filter(({ failure }) => failure !== undefined);
  const remark = result.interrupted ? '; interrupted, so not everything was measured' : '';
  return [
    ...settingLines(result.host),
    `${base.label} (${base.profile}): ${amount(whole, unit)}${remark}`,
    ...baselineLine(base, result),
    ...exitLines(base).slice(0, 1),
    '',
    ...table([
      ['change', 'worth', 'of the whole', 'interval', ...(base.exits ? ['exits', 'io, mmio'] : []), ''],
      ...rows,
    ]),
    ...failed.map(({ label, failure = '' }) => `${label}: ${failureLine(failure)}`),
    ...byChance(changes.length, unit),
    ...uncountedNote(result),
    '',
  ].join('\n');
}

function exitsToQemu(exits: VariantResult['exits']): number {
  return (exits?.['io_exits'] ?? 0) + (exits?.['mmio_exits'] ?? 0);
}

/** Exits to KVM that a change adds or saves: of all kinds, and of those that QEMU handles; empty under emulation. */
function exitsChange({ exits: before }: VariantResult, { exits: after }: Partial<VariantResult> = {}): string[] {
  if (before === undefined) return [];
  if (after === undefined) return ['', ''];
  const signed = (change: number) => `${change < 0 ? '−' : '+'}${Math.abs(Math.round(change))}`;
  const all = (after['exits'] ?? 0) - (before['exits'] ?? 0);
  return [signed(all), signed(exitsToQemu(after) - exitsToQemu(before))];
}

/** Counted instructions end where the init is ready, so their baseline is the kernel alone. */
function baselineLine(base: VariantResult, { unit, variants }: Result): string[] {
  const { parts, summary } = base;
  const baseline = baselineFor(base, variants)?.summary;
  if (baseline && summary)
    return [`a bare QEMU (the floor): ${amount(baseline.median, unit)}, ${percent(baseline.median / summary.median)}`];
  const { kernel } = parts;
  if (unit !== 'instructions' || kernel === undefined || summary === null) return [];
  const part = `${amount(kernel, unit)}, ${percent(kernel / summary.median)}`;
  return [`the kernel alone, to its first process (the floor): ${part}`];
}

/** One interval in twenty is wrong by chance. */
function byChance(changes: number, unit: Result['unit']): string[] {
  const wrong = Math.round(changes / 20);
  if (unit !== 's' || wrong < 1) return [];
  return ['', `Of ${changes} changes that were worth nothing chance alone would show ${wrong} as worth something.`];
}

/** The kernel's clock starts only after the kernel is unpacked and has scanned its memory. */
function uncountedNote({ unit, variants }: Result): string[] {
  if (unit !== 'instructions' || !variants.some(({ label }) => /the kernel (?:un)?packed|firmware/.test(label)))
    return [];
  return [
    '',
    "Not counted is what comes before the kernel's clock: the firmware, and a kernel that unpacks itself." +
      ' --no-deterministic measures their time.',
  ];
}

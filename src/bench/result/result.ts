/** The result of a measurement, and its file format: docs/bench-json.md explains each field. */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import type { HostFacts } from '../run/host.js';
import type { Sample, Unit } from '../run/sample.js';
import type { Measured, Series } from '../run/series.js';
import type { Exits } from '../timeline/exits.js';
import type { Span, Where } from '../timeline/span.js';
import type { Timeline } from '../timeline/timeline.js';
import { type Difference, difference, exactDifference, median, type Summary, summarize } from './statistics.js';

export const RESULT_FORMAT = 1;

export type Kind = 'run' | 'compare' | 'ablate' | 'tune' | 'peers';

export interface VariantResult {
  readonly label: string;
  /** Name of the profile; absent for another program. */
  readonly profile?: string | undefined;
  /** Options of virt-sandbox with its command, or the whole command line of another program. */
  readonly options: readonly string[];
  readonly values: readonly number[];
  /** Null if there are no values. */
  readonly summary: Summary | null;
  /** Medians of the parts of the value. */
  readonly parts: Readonly<Record<string, number>>;
  /** Who spent the time of each part; absent for instructions, and in older files. */
  readonly where?: Readonly<Record<string, Where>> | undefined;
  readonly failure?: string | undefined;
  /** Medians of the exits to KVM, by the names of its counters; absent under emulation. */
  readonly exits?: Exits | undefined;
  /** Why exits to KVM were not counted. */
  readonly noExits?: string | undefined;
  /** Labels of the variants that this bare QEMU is the baseline of. */
  readonly floorOf?: readonly string[] | undefined;
  /** Timeline of the run that was measured in detail. */
  readonly timeline?: Timeline | undefined;
}

export interface Comparison extends Difference {
  readonly label: string;
  readonly against: string;
}

export interface Result {
  readonly format: typeof RESULT_FORMAT;
  readonly kind: Kind;
  /** ISO 8601 */
  readonly date: string;
  /** Version of virt-sandbox, with the revision it was built from if known. */
  readonly version: string;
  /** Command line that measured this, word by word; empty if not known. */
  readonly command: readonly string[];
  readonly host: HostFacts;
  readonly unit: Unit;
  readonly interrupted: boolean;
  readonly variants: readonly VariantResult[];
  readonly comparisons: readonly Comparison[];
}

export function variantResult({ variant, samples, failure }: Series, timeline?: Timeline): VariantResult {
  const values = samples.map(({ value }) => value);
  return {
    label: variant.label,
    ...(variant.kind === 'sandbox' ? { profile: variant.profile.name } : {}),
    options: variant.kind === 'sandbox' ? [...variant.options, '--', ...variant.command] : variant.argv,
    values,
    summary: values.length === 0 ? null : summarize(values),
    parts: medianParts(samples),
    ...wheres(samples),
    ...exitsOf(samples),
    ...(failure === undefined ? {} : { failure }),
    ...(variant.kind === 'sandbox' || variant.baselineOf === undefined ? {} : { floorOf: variant.baselineOf }),
    ...(timeline === undefined ? {} : { timeline }),
  };
}

/** Compares each variant with the first one, and with its baseline. */
export function comparisonsOf(variants: readonly VariantResult[], unit: Unit): Comparison[] {
  const measured = variants.filter(({ values }) => values.length > 0);
  const [first, ...others] = measured.filter(({ floorOf }) => floorOf === undefined);
  const baselines = measured.flatMap((one) => {
    const baseline = baselineFor(one, measured);
    return baseline === undefined ? [] : [comparison(one, baseline, unit)];
  });
  return [...(first ? others.map((other) => comparison(other, first, unit)) : []), ...baselines];
}

/** The bare QEMU that was measured beside a variant. */
export function baselineFor({ label }: VariantResult, variants: readonly VariantResult[]): VariantResult | undefined {
  return variants.find(({ floorOf, values }) => floorOf?.includes(label) && values.length > 0);
}

export function comparison(one: VariantResult, against: VariantResult, unit: Unit): Comparison {
  const compare = unit === 'instructions' ? exactDifference : difference;
  return { label: one.label, against: against.label, ...compare(one.values, against.values) };
}

export function makeResult(
  kind: Kind,
  session: Pick<Result, 'version' | 'command' | 'host' | 'unit'>,
  measured: Pick<Measured, 'interrupted'>,
  variants: readonly VariantResult[],
  comparisons: readonly Comparison[] = comparisonsOf(variants, session.unit),
): Result {
  const { version, command, host, unit } = session;
  const { interrupted } = measured;
  const date = new Date().toISOString();
  return { format: RESULT_FORMAT, kind, date, version, command, host, unit, interrupted, variants, comparisons };
}

function medianParts(samples: readonly Sample[]): Record<string, number> {
  const names = new Set(samples.flatMap(({ parts }) => Object.keys(parts)));
  return Object.fromEntries([...names].map((name) => [name, median(samples.map(({ parts }) => parts[name] ?? 0))]));
}

function wheres(samples: readonly Sample[]): Pick<VariantResult, 'where'> {
  const where: Record<string, Where> = Object.assign({}, ...samples.map((one) => one.where ?? {}));
  return Object.keys(where).length === 0 ? {} : { where };
}

function exitsOf(samples: readonly Sample[]): Pick<VariantResult, 'exits' | 'noExits'> {
  const counted = samples.flatMap(({ exits }) => (exits === undefined ? [] : [exits]));
  const names = new Set(counted.flatMap((exits) => Object.keys(exits)));
  const exits = Object.fromEntries([...names].map((name) => [name, median(counted.map((one) => one[name] ?? 0))]));
  if (counted.length > 0) return { exits };
  const why = samples.find(({ noExits }) => noExits !== undefined)?.noExits;
  return why === undefined ? {} : { noExits: why };
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const whereSchema = v.picklist(['host', 'libvirt', 'qemu', 'guest', 'measuring', 'unexplained']);
const spanSchema: v.GenericSchema<Span> = v.object({
  name: v.string(),
  where: whereSchema,
  start: v.number(),
  end: v.number(),
  parts: v.array(v.lazy(() => spanSchema)),
  note: v.exactOptional(v.string()),
  exits: v.exactOptional(v.record(v.string(), v.number())),
});
const timelineSchema = v.object({
  start: v.optional(v.picklist(['cold', 'warm', 'container'])),
  wall: v.number(),
  picture: v.exactOptional(v.number()),
  stages: v.array(spanSchema),
  alignment: v.optional(
    v.object({ offset: v.number(), error: v.number(), method: v.picklist(['round-trip', 'handshake']) }),
  ),
  unexplained: v.number(),
  measuring: v.number(),
  rest: v.number(),
  exits: v.exactOptional(v.record(v.string(), v.number())),
  exitsApart: v.exactOptional(v.number()),
});
const summarySchema = v.object({
  runs: count,
  ...{ min: v.number(), median: v.number(), p95: v.number(), max: v.number(), spread: v.number() },
  ...{ low: v.number(), high: v.number(), outliers: v.array(count) },
});
export const hostSchema = v.object({
  processors: count,
  ...{ model: v.string(), acceleration: v.string(), kernel: v.string(), qemu: v.string(), libvirt: v.string() },
  ...{ node: v.string(), connection: v.string(), load: v.number(), nested: v.exactOptional(v.literal(true)) },
});

export const resultSchema = v.object({
  format: v.literal(RESULT_FORMAT),
  kind: v.picklist(['run', 'compare', 'ablate', 'tune', 'peers']),
  date: v.pipe(v.string(), v.isoTimestamp()),
  version: v.string(),
  command: v.optional(v.array(v.string()), []),
  host: hostSchema,
  unit: v.picklist(['s', 'instructions']),
  interrupted: v.boolean(),
  variants: v.array(
    v.object({
      label: v.string(),
      profile: v.optional(v.string()),
      options: v.array(v.string()),
      values: v.array(v.number()),
      summary: v.nullable(summarySchema),
      parts: v.record(v.string(), v.number()),
      where: v.optional(v.record(v.string(), whereSchema)),
      failure: v.optional(v.string()),
      exits: v.optional(v.record(v.string(), v.number())),
      noExits: v.optional(v.string()),
      floorOf: v.optional(v.array(v.string())),
      timeline: v.optional(timelineSchema),
    }),
  ),
  comparisons: v.array(
    v.object({
      ...{ label: v.string(), against: v.string(), ratio: v.number(), low: v.number(), high: v.number() },
      verdict: v.picklist(['faster', 'slower', 'undecided']),
    }),
  ),
});

/** @throws {Error} for a file that cannot be read, or holds no result of this format */
export function readResult(path: string): Result {
  return parseResult(path, () => readFileSync(path, 'utf8'));
}

/**
 * The same of a text.
 * @param path what messages call it
 */
export function parseResult(path: string, read: () => string): Result {
  let value: unknown;
  try {
    value = JSON.parse(read());
  } catch (error) {
    throw new Error(`${path} cannot be read as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const checked = v.safeParse(resultSchema, value);
  if (checked.success) return checked.output as Result;
  const [issue] = checked.issues;
  throw new Error(
    `${path} holds no result of virt-sandbox-bench: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`,
  );
}

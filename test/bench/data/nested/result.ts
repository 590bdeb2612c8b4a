/** What the emulated machine hands out: what was measured, and of which host in there. */
import * as v from 'valibot';
import { hostSchema } from '../../../../src/bench/result/result.js';
import type { HostFacts } from '../../../../src/bench/run/host.js';
import { parseJson } from '../../../../src/util/records.js';
import type { DataResult } from '../measure.js';
import { SYSTEM_NAMES } from '../systems.js';

export interface InsideResult {
  /** The emulated machine. */
  readonly host: HostFacts;
  /** The version of virtme-ng. */
  readonly virtme: string;
  readonly data: DataResult;
}

const quantitySchema = v.object({
  amount: v.number(),
  unit: v.picklist(['s', '/s']),
  ...{ min: v.exactOptional(v.number()), max: v.exactOptional(v.number()), runs: v.exactOptional(v.number()) },
});
const cellSchema = v.union([
  v.object({ quantity: quantitySchema, isMore: v.exactOptional(v.literal(true)) }),
  v.object({ failure: v.string() }),
]);
const systemSchema = v.picklist(SYSTEM_NAMES);
const mapOf = <Key extends v.GenericSchema, Value extends v.GenericSchema>(key: Key, value: Value) =>
  v.pipe(
    v.array(v.tuple([key, value])),
    v.transform((entries) => new Map(entries)),
  );
const resultSchema = v.object({
  host: hostSchema,
  virtme: v.string(),
  data: v.object({
    amounts: v.object({ echoes: v.number() }),
    rows: v.array(v.object({ name: v.string(), what: v.string() })),
    systems: v.array(v.object({ name: systemSchema, title: v.string() })),
    cells: mapOf(systemSchema, mapOf(v.string(), cellSchema)),
    leftOut: v.array(v.string()),
  }),
});

export function formatResult(result: InsideResult): string {
  return JSON.stringify(result, (_key, value: unknown) => (value instanceof Map ? [...value] : value));
}

/** @throws {Error} for a text that is no such result */
export function parseInside(text: string): InsideResult {
  const checked = v.safeParse(resultSchema, parseJson(text));
  if (checked.success) return checked.output as InsideResult;
  const [issue] = checked.issues;
  throw new Error(`the emulated machine wrote no result: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`);
}

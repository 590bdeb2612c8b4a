/**
 * The schema of kmods/NAME.json; apart from the reading of it, since the validator takes a while to load.
 */

import * as v from 'valibot';
import type { ModuleSet } from './sets.js';

const FeatureSchema = v.strictObject({
  title: v.pipe(v.string(), v.nonEmpty()),
  modules: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[\w-]+$/))), v.nonEmpty()),
  required: v.boolean(),
  option: v.pipe(v.string(), v.regex(/^CONFIG_\w+$/)),
});

const SetSchema = v.strictObject({
  title: v.pipe(v.string(), v.nonEmpty()),
  features: v.pipe(v.array(FeatureSchema), v.nonEmpty()),
});

/** @throws {Error} that names the place, when `value` is not a module set. */
export function parseSet(value: unknown): Omit<ModuleSet, 'name'> {
  const result = v.safeParse(SetSchema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new Error(`${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`);
}

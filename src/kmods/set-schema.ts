/** The schema of kmods/NAME.json. In a file of its own, because the validator takes a while to load. */

import * as v from 'valibot';

const ModuleName = v.pipe(v.string(), v.regex(/^[\w-]+$/));

const FeatureSchema = v.strictObject({
  title: v.pipe(v.string(), v.nonEmpty()),
  modules: v.pipe(v.array(ModuleName), v.nonEmpty()),
  parameters: v.optional(v.record(ModuleName, v.pipe(v.string(), v.regex(/^\w+=\w+(?: \w+=\w+)*$/)))),
  required: v.boolean(),
  option: v.pipe(v.string(), v.regex(/^CONFIG_\w+$/)),
});

const SetSchema = v.strictObject({
  title: v.pipe(v.string(), v.nonEmpty()),
  features: v.pipe(v.array(FeatureSchema), v.nonEmpty()),
});

/**
 * The content of a module set's file.
 *
 * @throws {Error} when `value` is not a module set; the message names the place in the file.
 */
export function parseSet(value: unknown): v.InferOutput<typeof SetSchema> {
  const result = v.safeParse(SetSchema, value);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw new Error(`${v.getDotPath(issue) ?? 'the file'}: ${issue.message}`);
}

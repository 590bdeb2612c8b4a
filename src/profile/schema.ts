/** What a profile's file must look like. */
import * as v from 'valibot';
import type { Profile } from './types.js';

/** One word: a blank would begin another argument, and what stands behind `--` is for the init. */
const word = v.pipe(v.string(), v.regex(/^(?!--$)[\u0021-\u007e]+$/, 'is not one word of printable ASCII'));
const reason = { why: v.string(), worth: v.string(), risk: v.string() };

export const profileSchema = v.strictObject({
  format: v.literal(1),
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'has other than letters, digits, dots and hyphens')),
  description: v.string(),
  kernelArguments: v.array(v.strictObject({ argument: word, ...reason })),
  initcallBlacklist: v.array(
    v.strictObject({ initcall: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.]+$/, 'is no symbol')), ...reason }),
  ),
  machine: v.strictObject({
    firmware: v.picklist(['qboot', 'libvirt']),
    bus: v.picklist(['root', 'ports']),
    legacy: v.picklist(['absent', 'present']),
  }),
  moduleSignatures: v.exactOptional(v.picklist(['checked', 'unchecked'])),
  moduleSets: v.exactOptional(v.array(word)),
  qemuArguments: v.exactOptional(v.array(v.string())),
});

/** @returns the profile, or what is wrong with it */
export function checkProfile(value: unknown): { readonly profile: Profile } | { readonly wrong: string } {
  const result = v.safeParse(profileSchema, value);
  if (result.success) return { profile: result.output };
  const [issue] = result.issues;
  return { wrong: `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}` };
}

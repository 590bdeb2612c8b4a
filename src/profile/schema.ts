/** The schema of a profile's file. */
import * as v from 'valibot';
import { INITRD_COMPRESSIONS } from '../image/manifest.js';
import { isRecord } from '../util/records.js';
import type { ProfileFile } from './types.js';

/** One kernel argument. A blank would begin another one, and `--` ends those that the kernel reads. */
const word = v.pipe(v.string(), v.regex(/^(?!--$)[\u0021-\u007e]+$/, 'is not one word of printable ASCII'));
const reason = { why: v.string(), worth: v.string(), worthKvm: v.exactOptional(v.string()), risk: v.string() };

const name = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'has other than letters, digits, dots and hyphens'),
);
const head = { format: v.literal(1), name, description: v.string() };
const kernelArguments = v.array(v.strictObject({ argument: word, ...reason }));
const initcallBlacklist = v.array(
  v.strictObject({ initcall: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.]+$/, 'is no symbol')), ...reason }),
);
const machine = v.strictObject({
  firmware: v.picklist(['qboot', 'libvirt']),
  bus: v.picklist(['root', 'ports']),
  legacy: v.picklist(['absent', 'present']),
});
const image = v.strictObject({
  kernel: v.exactOptional(v.picklist(['unpacked', 'packed'])),
  initrd: v.exactOptional(v.picklist(INITRD_COMPRESSIONS)),
});
const more = {
  image: v.exactOptional(image),
  moduleSignatures: v.exactOptional(v.picklist(['checked', 'unchecked'])),
  moduleSets: v.exactOptional(v.array(word)),
  qemuArguments: v.exactOptional(v.array(v.string())),
};

/** A profile that extends no other: nothing but the tuning is optional. */
export const profileSchema = v.strictObject({ ...head, kernelArguments, initcallBlacklist, machine, ...more });

const extendingSchema = v.strictObject({
  ...head,
  extends: name,
  kernelArguments: v.exactOptional(kernelArguments),
  initcallBlacklist: v.exactOptional(initcallBlacklist),
  machine: v.exactOptional(v.partial(machine)),
  ...more,
});

/** Validates a profile. Returns it unchanged, or what is wrong with it. */
export function checkProfile(value: unknown): { readonly profile: ProfileFile } | { readonly wrong: string } {
  const extending = isRecord(value) && 'extends' in value;
  const result = v.safeParse(extending ? extendingSchema : profileSchema, value);
  if (result.success) return { profile: result.output as ProfileFile };
  const [issue] = result.issues;
  return { wrong: `${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}` };
}

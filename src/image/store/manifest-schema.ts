/**
 * Reads a manifest that may be damaged or foreign. It is apart from manifest.ts because the validator takes a while to
 * load.
 */

import * as v from 'valibot';
import { isOneLine } from '../../util/errors.js';
import { parseJson } from '../../util/records.js';
import { COMMON_INITS, IMAGE_FORMAT, INITRD_COMPRESSIONS, isImageId, isSealed, type Manifest } from '../manifest.js';

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
/** A file name that cannot lead out of the image's directory. */
const fileName = v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/));
/** It is shown to people: nothing that a terminal acts on. */
const text = v.pipe(v.string(), v.check(isOneLine));
const moduleState = v.picklist(['built-in', 'module', 'absent']);

const ManifestSchema = v.strictObject({
  id: v.pipe(v.string(), v.check(isImageId)),
  format: v.literal(IMAGE_FORMAT),
  kernel: v.strictObject({
    version: text,
    file: v.picklist(['vmlinux', 'kernel']),
    reason: text,
    source: v.strictObject({ size, sha256, format: v.picklist(['bzimage', 'elf']) }),
  }),
  init: v.strictObject({ size, sha256 }),
  sets: v.array(text),
  features: v.array(
    v.strictObject({
      set: text,
      title: text,
      required: v.boolean(),
      option: text,
      state: moduleState,
      modules: v.record(text, moduleState),
    }),
  ),
  modules: v.array(v.strictObject({ name: text, file: text, size, sha256 })),
  compression: v.picklist(INITRD_COMPRESSIONS),
  commonInit: v.picklist(COMMON_INITS),
  kernelArguments: v.array(text),
  files: v.array(v.strictObject({ name: fileName, size, sha256 })),
});

/** The manifest in `text`; undefined if it is damaged, changed, or of another format. */
export function parseManifest(text: string): Manifest | undefined {
  const value = parseJson(text);
  const result = v.safeParse(ManifestSchema, value);
  // Check the seal on the parsed value, not on the validator's copy: the order of fields counts.
  return result.success && isSealed(value as Manifest) ? result.output : undefined;
}

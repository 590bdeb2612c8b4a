/** Manifests and indexes: which blobs an image consists of. */
import * as v from 'valibot';
import { type Digest, isDigest } from '../oci-names/digest.js';
import { imageError, quoted, shown } from '../oci-names/errors.js';
import type { Platform } from '../oci-names/platform.js';
import { isRecord, parseJson } from '../util/records.js';
import {
  MOST_BLOB_BYTES,
  MOST_DOCUMENT_BYTES,
  MOST_INDEX_ENTRIES,
  MOST_LAYERS,
  MOST_UNPACKED_BYTES,
} from './limits.js';
import { isConfigType, kindOf, type LayerCompression, layerCompression, OCI_MANIFEST } from './media-types.js';

/** Names a blob: OCI image specification, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform: Platform | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface LayerDescriptor extends Descriptor {
  readonly compression: LayerCompression;
}

export interface Manifest {
  readonly kind: 'manifest';
  readonly config: Descriptor;
  /** The lowest first. */
  readonly layers: readonly LayerDescriptor[];
}

export interface Index {
  readonly kind: 'index';
  /** Images and further indexes; what else an index may list is left out. */
  readonly manifests: readonly Descriptor[];
}

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MOST_BLOB_BYTES));
const text = v.pipe(v.string(), v.maxLength(1024));
/** A part of a platform: no real one has twenty characters. */
export const platformPart = v.pipe(v.string(), v.maxLength(64));
const PlatformSchema = v.pipe(
  v.object({ os: platformPart, architecture: platformPart, variant: v.nullish(platformPart) }),
  v.transform(({ os, architecture, variant }): Platform => ({ os, architecture, variant: variant || undefined })),
);
export const DescriptorSchema = v.pipe(
  v.object({
    mediaType: text,
    digest: v.pipe(v.string(), v.check(isDigest, 'it is no sha256 or sha512 digest')),
    size,
    platform: v.nullish(PlatformSchema),
    annotations: v.nullish(v.record(v.string(), v.string())),
  }),
  v.transform(
    ({ mediaType, digest, size, platform, annotations }): Descriptor => ({
      mediaType,
      digest: digest as Digest,
      size,
      platform: platform ?? undefined,
      annotations: annotations ?? {},
    }),
  ),
);
const mediaType = v.nullish(text);
const ManifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType,
  config: DescriptorSchema,
  layers: v.pipe(v.array(DescriptorSchema), v.maxLength(MOST_LAYERS)),
});
const IndexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType,
  manifests: v.pipe(v.array(DescriptorSchema), v.maxLength(MOST_INDEX_ENTRIES)),
});

/**
 * Reads a manifest or an index. One that says to be of another type than its sender says is refused: its digest would
 * have two meanings.
 * @param declared the media type by the registry's answer or by the descriptor; undefined: not known
 * @param which names it, for errors
 * @throws {SandboxError} `manifest-invalid`, `manifest-too-old`, `image-artifact`; those of {@link layerCompression}
 */
export function parseDocument(bytes: Buffer, declared: string | undefined, which: string): Manifest | Index {
  const value = parseBounded(bytes, which);
  const own = v.safeParse(v.object({ mediaType, schemaVersion: v.unknown() }), value);
  if (!own.success) throw invalidManifest(which, 'it is no JSON object');
  const inside = own.output.mediaType ?? undefined;
  if (inside !== undefined && declared !== undefined && inside !== declared)
    throw invalidManifest(which, `its media type is ${quoted(declared)} to its sender and ${quoted(inside)} inside`);
  const kind = kindOf(inside ?? declared ?? '');
  if (kind === 'schema1' || own.output.schemaVersion === 1)
    throw imageError(
      'manifest-too-old',
      `${which} has a manifest of Docker's first schema, which has no digests of its content`,
      'have it pushed again by a current Docker, podman or skopeo',
    );
  if (kind === 'manifest') return parseManifest(value, which);
  if (kind === 'index') {
    const { manifests } = checked(IndexSchema, value, which);
    return { kind, manifests: manifests.filter(({ mediaType }) => kindOf(mediaType) !== 'unknown') };
  }
  throw invalidManifest(which, `its media type ${quoted(inside ?? declared ?? '')} is none of an image`);
}

/**
 * A manifest that was read before, when its sender said what it is. One that does not say so itself is of OCI's type.
 * @throws {SandboxError} `manifest-invalid` and the others of {@link parseDocument}
 */
export function parseStoredManifest(bytes: Buffer, which: string): Manifest {
  const value = parseBounded(bytes, which);
  const hasType = isRecord(value) && typeof value['mediaType'] === 'string';
  const parsed = parseDocument(bytes, hasType ? undefined : OCI_MANIFEST, which);
  if (parsed.kind === 'manifest') return parsed;
  throw invalidManifest(which, 'it is an index');
}

function parseManifest(value: unknown, which: string): Manifest {
  const { config, layers } = checked(ManifestSchema, value, which);
  if (!isConfigType(config.mediaType))
    throw imageError(
      'image-artifact',
      `${which} is no image but an artifact of type ${quoted(config.mediaType)}`,
      'use the reference of an image',
    );
  if (config.size > MOST_DOCUMENT_BYTES)
    throw invalidManifest(which, `its config has more than ${MOST_DOCUMENT_BYTES} bytes`);
  if (layers.reduce((sum, { size }) => sum + size, 0) > MOST_UNPACKED_BYTES)
    throw invalidManifest(which, `its layers have more than ${MOST_UNPACKED_BYTES} bytes`);
  return {
    kind: 'manifest',
    config,
    layers: layers.map((layer, at) => ({
      ...layer,
      compression: layerCompression(layer.mediaType, `layer ${at + 1} of ${which}`),
    })),
  };
}

/**
 * The value of a JSON document.
 * @throws {SandboxError} `manifest-invalid`
 */
export function parseBounded(bytes: Buffer, which: string): unknown {
  if (bytes.length > MOST_DOCUMENT_BYTES) throw invalidManifest(which, `it has more than ${MOST_DOCUMENT_BYTES} bytes`);
  return parseJson(bytes.toString('utf8'));
}

/**
 * What a schema reads of a value.
 * @throws {SandboxError} `manifest-invalid`, which says which field is wrong
 */
export function checked<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  which: string,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  // Both may have what the document says.
  const field = v.getDotPath(issue);
  const why = field === null ? 'it is no JSON object' : `its ${shown(field)}: ${shown(issue.message)}`;
  throw invalidManifest(which, why);
}

function invalidManifest(which: string, why: string) {
  return imageError('manifest-invalid', `${which} cannot be read: ${why}`, 'use another tag, or have it pushed again');
}

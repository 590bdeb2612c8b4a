/** The manifest of an artifact, which lists its layers: OCI image specification 1.1, "Guidelines for Artifact Usage". */
import * as v from 'valibot';
import type { Manifest } from '../../image/manifest.js';
import type { SnapshotRecord } from '../../image/snapshot/record.js';
import { checked, type Descriptor, DescriptorSchema, parseBounded } from '../../oci/manifest.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-types.js';
import type { DocumentBytes } from '../../oci/source.js';
import { digestOf } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { artifactInvalid } from './errors.js';
import { MOST_SNAPSHOTS, TITLE } from './files.js';

const NAME = 'application/vnd.libvirt-sandbox.boot-image';
/** Increase it when an older version must not read what this one pushes. */
const ARTIFACT_VERSION = 1;
export const ARTIFACT_TYPE = `${NAME}.v${ARTIFACT_VERSION}`;
export const LAYER_TYPE = `${NAME}.file.v${ARTIFACT_VERSION}+zstd`;
const ANNOTATION = 'io.libvirt-sandbox.boot-image';

/** The config that stands for none: OCI image specification, manifest.md. */
export const EMPTY_CONFIG = Buffer.from('{}');
const EMPTY_DESCRIPTOR = {
  mediaType: 'application/vnd.oci.empty.v1+json',
  digest: digestOf(EMPTY_CONFIG),
  size: EMPTY_CONFIG.length,
};

const text = v.pipe(v.string(), v.maxLength(1024));
const ArtifactSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.nullish(text),
  artifactType: v.nullish(text),
  config: DescriptorSchema,
  // Three files of the image, three of each snapshot.
  layers: v.pipe(v.array(DescriptorSchema), v.maxLength(3 + 3 * MOST_SNAPSHOTS)),
});

/** A layer of an artifact that is made. */
export interface PackedFile {
  readonly path: string;
  readonly digest: string;
  /** Of the packed bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The bytes of the manifest. The same files have the same. */
export function artifactBytes(
  manifest: Manifest,
  records: readonly SnapshotRecord[],
  files: readonly PackedFile[],
): Buffer {
  const ofSnapshots = records.map(snapshotAnnotations);
  const keys = [...new Set(ofSnapshots.flatMap(Object.keys))];
  const common = keys.map((key) => [key, [...new Set(ofSnapshots.flatMap((one) => one[key] ?? []))].join('; ')]);
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: ARTIFACT_TYPE,
      config: EMPTY_DESCRIPTOR,
      layers: files.map(({ path, digest, size, annotations }) => ({
        mediaType: LAYER_TYPE,
        digest,
        size,
        annotations: { [TITLE]: path, ...annotations },
      })),
      annotations: {
        [`${ANNOTATION}.id`]: manifest.id,
        [`${ANNOTATION}.kernel`]: manifest.kernel.version,
        [`${ANNOTATION}.sets`]: manifest.sets.join(','),
        ...(Object.fromEntries(common) as Record<string, string>),
      },
    }),
  );
}

/** What people and programs can see of a snapshot without fetching it. It is not believed by a pull. */
export function snapshotAnnotations({
  acceleration,
  memory,
  vcpus,
  needs = {},
}: SnapshotRecord): Record<string, string> {
  const named: Readonly<Record<string, string | undefined>> = {
    accelerator: acceleration,
    qemu: needs['QEMU']?.text,
    libvirt: needs['libvirt']?.text,
    cpu: needs["the host's processor"]?.text,
    memory: String(memory),
    vcpus: String(vcpus),
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([key, value]) => (value === undefined ? [] : [[`${ANNOTATION}.${key}`, value]])),
  );
}

/**
 * The layers that the manifest of a boot image lists.
 * @param which names it, for errors
 * @throws {SandboxError} `artifact-other`: it is something else; `artifact-newer`; `artifact-invalid`
 */
export function parseArtifact({ bytes, mediaType }: DocumentBytes, which: string): readonly Descriptor[] {
  const value = orInvalid(which, () => parseBounded(bytes, which));
  if (value === undefined) throw artifactInvalid(which, 'its manifest is no JSON');
  const own = v.safeParse(v.object({ mediaType: v.nullish(text), artifactType: v.nullish(text) }), value);
  const inside = own.success ? (own.output.mediaType ?? undefined) : undefined;
  const type = own.success ? (own.output.artifactType ?? undefined) : undefined;
  if ((inside ?? mediaType) === OCI_INDEX) throw other(which, 'a list of images');
  if (inside !== undefined && mediaType !== undefined && inside !== mediaType)
    throw artifactInvalid(which, `its media type is ${quoted(mediaType)} to its sender and ${quoted(inside)} inside`);
  if ((inside ?? mediaType ?? OCI_MANIFEST) !== OCI_MANIFEST)
    throw other(which, `something of type ${quoted(inside ?? mediaType ?? '')}`);
  if (type === undefined) throw other(which, own.success ? 'an image for containers' : 'something else');
  if (type.startsWith(`${NAME}.v`) && type !== ARTIFACT_TYPE) throw newer(which, type);
  if (type !== ARTIFACT_TYPE) throw other(which, `an artifact of type ${quoted(type)}`);
  const { layers } = orInvalid(which, () => checked(ArtifactSchema, value, which));
  const strange = layers.find((layer) => layer.mediaType !== LAYER_TYPE);
  if (strange) throw artifactInvalid(which, `one of its layers is of type ${quoted(strange.mediaType)}`);
  return layers;
}

/** Reads a document of images; its error is that of an artifact then. */
function orInvalid<T>(which: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    throw artifactInvalid(which, error.message, error);
  }
}

function other(which: string, what: string): SandboxError {
  return imageError(
    'artifact-other',
    `${which} is no boot image but ${what}`,
    'name what virt-sandbox-bake push has put there; virt-sandbox-image pull fetches images for containers',
  );
}

function newer(which: string, type: string): SandboxError {
  return imageError(
    'artifact-newer',
    `${which} was pushed by another version of this program, as ${quoted(type)}`,
    `update this one, or push it again with one that makes ${ARTIFACT_TYPE}`,
  );
}

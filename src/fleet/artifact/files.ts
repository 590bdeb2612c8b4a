/**
 * The files of a boot image that is an OCI artifact: one layer each, whose title is the file's path.
 *
 * - `manifest.json`, `initrd`, and `vmlinux` or `kernel`: as in the image's directory
 * - `warm/N/warm.json`, `warm/N/memory`, `warm/N/state`: its snapshots, numbered from 0
 */
import { INITRD_NAME, MANIFEST_NAME, MOST_IMAGE_FILE, MOST_MANIFEST } from '../../image/manifest.js';
import {
  MOST_RECORD,
  MOST_STATE,
  SNAPSHOT_MEMORY,
  SNAPSHOT_RECORD,
  SNAPSHOT_STATE,
  SNAPSHOTS_DIRECTORY,
} from '../../image/snapshot/record.js';
import { MOST_BLOB_BYTES } from '../../oci/limits.js';
import type { Descriptor } from '../../oci/manifest.js';
import { quoted } from '../../oci-names/errors.js';
import { artifactInvalid } from './errors.js';

/** The annotation that holds the name of a layer's file: OCI image specification, annotations.md. */
export const TITLE = 'org.opencontainers.image.title';

/** Snapshots of one artifact. */
export const MOST_SNAPSHOTS = 16;

/** What a packed file may have more than the file itself: Zstandard adds a header, and three bytes to each 128 KiB. */
const PACKING_BYTES = 64 << 10;

const KERNELS = ['vmlinux', 'kernel'];
const PARTS = [SNAPSHOT_RECORD, SNAPSHOT_MEMORY, SNAPSHOT_STATE];

/** A file of an artifact. */
export interface ArtifactLayer {
  readonly path: string;
  readonly descriptor: Descriptor;
}

export interface SnapshotLayers {
  /** `warm/0` */
  readonly path: string;
  readonly record: ArtifactLayer;
  readonly memory: ArtifactLayer;
  readonly state: ArtifactLayer;
}

export interface ArtifactFiles {
  readonly manifest: ArtifactLayer;
  readonly kernel: ArtifactLayer;
  readonly initrd: ArtifactLayer;
  readonly snapshots: readonly SnapshotLayers[];
}

/** The directory of the snapshot with this number, from 0. */
export function snapshotPath(number: number): string {
  return `${SNAPSHOTS_DIRECTORY}/${number}`;
}

/**
 * Finds the files of a boot image among layers. No other may be there: a name is never used as a path.
 * @param which names the artifact, for errors
 * @throws {SandboxError} `artifact-invalid`
 */
export function sortFiles(layers: readonly Descriptor[], which: string): ArtifactFiles {
  const found = new Map<string, ArtifactLayer>();
  for (const [at, descriptor] of layers.entries()) {
    const path = descriptor.annotations[TITLE];
    if (path === undefined) throw artifactInvalid(which, `its layer ${at + 1} has no title`);
    const most = mostBytes(path);
    if (most === undefined) throw artifactInvalid(which, `a boot image has no file ${quoted(path)}`);
    if (found.has(path)) throw artifactInvalid(which, `it has two files ${path}`);
    if (descriptor.size > most + PACKING_BYTES) throw artifactInvalid(which, `its ${path} has more than ${most} bytes`);
    found.set(path, { path, descriptor });
  }
  const take = (path: string): ArtifactLayer => {
    const layer = found.get(path);
    if (layer === undefined) throw artifactInvalid(which, `it has no ${path}`);
    return layer;
  };
  const [kernel, other] = KERNELS.filter((name) => found.has(name));
  if (kernel === undefined || other !== undefined) throw artifactInvalid(which, 'it does not have just one kernel');
  const snapshots = Array.from({ length: MOST_SNAPSHOTS }, (_, number) => snapshotPath(number))
    .filter((path) => PARTS.some((part) => found.has(`${path}/${part}`)))
    .map((path) => ({
      path,
      record: take(`${path}/${SNAPSHOT_RECORD}`),
      memory: take(`${path}/${SNAPSHOT_MEMORY}`),
      state: take(`${path}/${SNAPSHOT_STATE}`),
    }));
  return { manifest: take(MANIFEST_NAME), kernel: take(kernel), initrd: take(INITRD_NAME), snapshots };
}

/** The most bytes that such a file has, unpacked; undefined: no boot image has it. */
export function mostBytes(path: string): number | undefined {
  if (path === MANIFEST_NAME) return MOST_MANIFEST;
  if (path === INITRD_NAME || KERNELS.includes(path)) return MOST_IMAGE_FILE;
  const [, number = '', part] = /^warm\/(\d{1,2})\/([\w.]+)$/.exec(path) ?? [];
  if (String(Number(number)) !== number || Number(number) >= MOST_SNAPSHOTS) return undefined;
  if (part === SNAPSHOT_RECORD) return MOST_RECORD;
  if (part === SNAPSHOT_STATE) return MOST_STATE;
  return part === SNAPSHOT_MEMORY ? MOST_BLOB_BYTES : undefined;
}

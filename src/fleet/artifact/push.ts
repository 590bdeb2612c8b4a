/** Pushes a boot image to a registry, as an artifact with one layer for each file. The tag moves last. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSnapshot, SNAPSHOT_RECORD, type Snapshot, snapshotDirectoriesOf } from '../../image/snapshot/record.js';
import type { OpenedImage } from '../../image/store/import.js';
import { imageRef } from '../../image/store/open.js';
import { openRef, storedId } from '../../image/store/open-image.js';
import { makeStore, storeError } from '../../image/store/store.js';
import { sweepWorkspaces, withWorkspace } from '../../image/store/workspace.js';
import { abortedError } from '../../oci/cancel.js';
import { OCI_MANIFEST } from '../../oci/media-types.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import { PushTarget } from '../../oci/registry/push-target.js';
import { digestOf } from '../../oci-names/digest.js';
import type { Reference } from '../../oci-names/reference.js';
import { artifactBytes, EMPTY_CONFIG } from './document.js';
import { type PackedLayer, packImage, snapshotDamaged } from './pack.js';
import { requireCosign, type Signing, signArtifact } from './sign.js';

export interface PushOptions {
  readonly store: string;
  /** Also the image's snapshots. */
  readonly withSnapshots: boolean;
  readonly registry: RegistryOptions;
  /** Undefined: it is not signed. */
  readonly signing: Signing | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Gets what is done now, for people. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Called before cosign has the terminal: it may ask something. */
  readonly onSigning?: (() => void) | undefined;
}

export interface PushedImage {
  /** Of the boot image. */
  readonly id: string;
  /** Of the artifact. */
  readonly digest: string;
  /** Bytes of all layers. */
  readonly size: number;
  /** Bytes that the registry did not have. */
  readonly sent: number;
  /** Directories of its snapshots. */
  readonly snapshots: readonly string[];
  readonly signed: boolean;
}

/**
 * @param called the image's name, id or directory
 * @throws {SandboxError} those of opening an image, of {@link packImage}, of {@link PushTarget} and of
 *   {@link signArtifact}; `store-not-writable`, `disk-full`, `aborted`
 */
export async function pushImage(called: string, reference: Reference, options: PushOptions): Promise<PushedImage> {
  const { store, registry, signing, signal } = options;
  if (signing !== undefined) await requireCosign(signing);
  const target = new PushTarget(reference, registry);
  try {
    const ref = imageRef(called, store);
    const image = await openRef(ref, store);
    const from = storedId(ref, store) === undefined ? ref.directory : image.directory;
    const snapshots = options.withSnapshots ? snapshotsIn(from, image) : [];
    return await withPacked(options, image, snapshots, async (layers, workspace) => {
      const size = layers.reduce((sum, layer) => sum + layer.size, 0);
      let sent = 0;
      for (const { path, content } of layers) {
        options.onProgress?.(`Pushing ${path}`);
        sent += await target.storeBlob(content, signal);
      }
      sent += await target.storeBlob(
        { digest: digestOf(EMPTY_CONFIG), size: EMPTY_CONFIG.length, open: () => once(EMPTY_CONFIG) },
        signal,
      );
      const bytes = artifactBytes(
        image.manifest,
        snapshots.map(({ record }) => record),
        layers,
      );
      if (signing !== undefined) {
        const digest = await target.storeUntagged(bytes, OCI_MANIFEST, signal);
        options.onSigning?.();
        await signArtifact(target.location, digest, signing, { registry, workspace, signal });
      }
      const digest = await target.storeManifest(bytes, OCI_MANIFEST, signal);
      const directories = snapshots.map(({ directory }) => directory);
      return { id: image.manifest.id, digest, size, sent, snapshots: directories, signed: signing !== undefined };
    });
  } finally {
    await target.close();
  }
}

/**
 * The image's snapshots in a directory, which may be one outside of the store. Nothing of them is copied: their content
 * is compared while it is packed.
 * @throws {SandboxError} `snapshot-damaged`: the record of one cannot be read
 */
function snapshotsIn(directory: string, { manifest }: OpenedImage): readonly Snapshot[] {
  return snapshotDirectoriesOf(directory).flatMap((one) => {
    const snapshot = readSnapshot(one);
    // A retired one has no record.
    if (snapshot === undefined && existsSync(join(one, SNAPSHOT_RECORD))) throw snapshotDamaged(one);
    return snapshot?.record.image === manifest.id ? [snapshot] : [];
  });
}

/** Packs the image into a workspace, and uses the layers until that is removed. */
async function withPacked<T>(
  { store, signal, onProgress }: PushOptions,
  image: OpenedImage,
  snapshots: readonly Snapshot[],
  use: (layers: readonly PackedLayer[], workspace: string) => Promise<T>,
): Promise<T> {
  try {
    makeStore(store);
    await sweepWorkspaces(store);
    return await withWorkspace(store, async (workspace) => {
      const onFile = (path: string) => onProgress?.(`Packing ${path}`);
      return use(await packImage(image, snapshots, workspace, { signal, onFile }), workspace);
    });
  } catch (error) {
    if (signal?.aborted) throw abortedError(error);
    throw storeError(error, store, mostPacked(image, snapshots));
  }
}

/** Bytes that the packed files hardly exceed: what the files take of the disk. */
function mostPacked({ directory, manifest }: OpenedImage, snapshots: readonly Snapshot[]): number {
  const paths = [
    ...manifest.files.map(({ name }) => join(directory, name)),
    ...snapshots.flatMap((one) => one.record.files.map(({ name }) => join(one.directory, name))),
  ];
  const blocks = paths.map((path) => statSync(path, { throwIfNoEntry: false })?.blocks ?? 0);
  return blocks.reduce((sum, count) => sum + count * 512, 0);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

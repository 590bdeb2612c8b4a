/** Pushes a boot image to a registry, as an artifact with one layer for each file. The tag moves last. */
import { importSnapshots } from '../../image/snapshot/import.js';
import { type Snapshot, snapshotsOf } from '../../image/snapshot/record.js';
import type { OpenedImage } from '../../image/store/import.js';
import { type ImageRef, imageRef } from '../../image/store/open.js';
import { openRef, storedId } from '../../image/store/open-image.js';
import { makeStore, storeError } from '../../image/store/store.js';
import { sweepWorkspaces, withWorkspace } from '../../image/store/workspace.js';
import { abortedError } from '../../oci/cancel.js';
import { OCI_MANIFEST } from '../../oci/media-types.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import { PushTarget } from '../../oci/registry/push-target.js';
import { digestOf } from '../../oci-names/digest.js';
import type { Reference } from '../../oci-names/reference.js';
import { qemuGroup } from '../../sandbox/state/qemu-user.js';
import { artifactBytes, EMPTY_CONFIG } from './document.js';
import { type PackedLayer, packImage } from './pack.js';
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
  if (signing !== undefined) await requireCosign();
  const target = new PushTarget(reference, registry);
  try {
    const ref = imageRef(called, store);
    const image = await openRef(ref, store);
    const snapshots = options.withSnapshots ? await snapshotsFor(ref, image, store) : [];
    return await packed(options, image, snapshots, async (layers) => {
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
        options.onProgress?.('Signing with cosign');
        await signArtifact(reference, digest, signing, { registry, signal });
      }
      const digest = await target.storeManifest(bytes, OCI_MANIFEST, signal);
      const directories = snapshots.map(({ directory }) => directory);
      return { id: image.manifest.id, digest, size, sent, snapshots: directories, signed: signing !== undefined };
    });
  } finally {
    await target.close();
  }
}

async function snapshotsFor(ref: ImageRef, image: OpenedImage, store: string): Promise<readonly Snapshot[]> {
  if (storedId(ref, store) !== undefined)
    return snapshotsOf(image.directory).filter(({ record }) => record.image === image.manifest.id);
  // The copies serve starts too, so QEMU's group reads them.
  const { snapshots } = await importSnapshots(ref.directory, image, {
    serves: () => true,
    readers: ({ acceleration }) => qemuGroup('embedded', acceleration),
  });
  return snapshots;
}

/** Packs the image, and uses the layers until they are removed. */
async function packed<T>(
  { store, signal, onProgress }: PushOptions,
  image: OpenedImage,
  snapshots: readonly Snapshot[],
  use: (layers: readonly PackedLayer[]) => Promise<T>,
): Promise<T> {
  try {
    makeStore(store);
    await sweepWorkspaces(store);
    return await withWorkspace(store, async (workspace) => {
      const onFile = (path: string) => onProgress?.(`Packing ${path}`);
      return use(await packImage(image, snapshots, workspace, { signal, onFile }));
    });
  } catch (error) {
    if (signal?.aborted) throw abortedError(error);
    throw storeError(error, store);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

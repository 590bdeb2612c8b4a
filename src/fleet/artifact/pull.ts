/** Pulls a boot image from a registry into a store: the image, then those of its snapshots that serve on this host. */
import { join } from 'node:path';
import { INITRD_NAME, type Manifest, MOST_MANIFEST } from '../../image/manifest.js';
import { checkImageName, nameImage } from '../../image/store/names.js';
import { receiveImage, unusualFile } from '../../image/store/receive.js';
import { refuseUnsafeStore } from '../../image/store/store.js';
import { abortedError } from '../../oci/cancel.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import { openRegistry } from '../../oci/registry/registry.js';
import type { Reference } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import { writeContent } from './content.js';
import { parseArtifact } from './document.js';
import { artifactInvalid } from './errors.js';
import { type FetchOptions, fetchFile, fetchText } from './fetch.js';
import { type ArtifactFiles, mostBytes, sortFiles } from './files.js';
import { type PulledSnapshots, pullSnapshots } from './pull-snapshots.js';

export interface PullOptions {
  readonly store: string;
  /** The name that the image gets in the store. */
  readonly name: string | undefined;
  /** Also the snapshots that serve here. */
  readonly withSnapshots: boolean;
  readonly registry: RegistryOptions;
  readonly signal?: AbortSignal | undefined;
  /** Gets what is done now, for people. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

export interface PulledImage extends PulledSnapshots {
  readonly id: string;
  readonly directory: string;
  readonly manifest: Manifest;
  /** Of the artifact. */
  readonly digest: string;
  /** Whether the store did not have the image. */
  readonly fresh: boolean;
  /** Bytes that came of its files. */
  readonly received: number;
}

/**
 * @throws {SandboxError} `artifact-other`, `artifact-newer`, `artifact-invalid`, `digest-wrong`, `blob-size-wrong`,
 *   `blob-truncated`, `image-name-invalid`, `store-not-safe`, `store-not-writable`, `disk-full`, `aborted`, and those of
 *   the registry. The image itself is in the store by then if it is a snapshot that fails.
 */
export async function pullBootImage(reference: Reference, options: PullOptions): Promise<PulledImage> {
  const { store, name, registry, signal } = options;
  if (name !== undefined) checkImageName(name);
  refuseUnsafeStore(store);
  const source = openRegistry(reference, registry);
  try {
    options.onProgress?.(`Asking for ${source.name}`);
    const document = await source.document(undefined, signal);
    const files = sortFiles(parseArtifact(document, source.name), source.name);
    let received = 0;
    const fetching: FetchOptions = {
      source,
      signal,
      onBytes: (count) => {
        received += count;
      },
    };
    const manifest = await fetchManifest(files, fetching);
    const fresh = await receiveImage(store, manifest, async (file, to) => {
      options.onProgress?.(`Pulling ${file.name}`);
      await fetchBootFile(files, file, to, fetching);
    });
    const directory = join(store, manifest.id);
    const pulled = options.withSnapshots
      ? await pullSnapshots({ directory, manifest }, files.snapshots, fetching, options)
      : { snapshots: [], left: [] };
    // Last: it names what was pulled as a whole.
    if (name !== undefined) await nameImage(store, name, manifest.id);
    return { id: manifest.id, directory, manifest, digest: document.digest, fresh, received, ...pulled };
  } catch (error) {
    if (signal?.aborted && !(error instanceof SandboxError)) throw abortedError(error);
    throw error;
  } finally {
    await source.close();
  }
}

async function fetchManifest(files: ArtifactFiles, options: FetchOptions): Promise<Manifest> {
  const which = options.source.name;
  const text = await fetchText(files.manifest, MOST_MANIFEST, options);
  const { parseManifest } = await import('../../image/store/manifest-schema.js');
  const manifest = parseManifest(text);
  if (manifest === undefined)
    throw artifactInvalid(which, `its ${files.manifest.path} is damaged, or of another version of this program`);
  const unusual = unusualFile(manifest);
  if (unusual !== undefined) throw artifactInvalid(which, `its ${unusual.name} ${unusual.problem}`);
  if (manifest.kernel.file !== files.kernel.path)
    throw artifactInvalid(which, `its kernel is ${files.kernel.path}, and ${manifest.kernel.file} in its manifest`);
  return manifest;
}

async function fetchBootFile(
  { kernel, initrd }: ArtifactFiles,
  { name, size, sha256 }: Manifest['files'][number],
  to: string,
  options: FetchOptions,
): Promise<void> {
  const layer = name === INITRD_NAME ? initrd : kernel;
  const found = await writeContent(fetchFile(layer, Math.min(size, mostBytes(name) ?? 0), options), to, 'whole');
  if (found.size !== size || found.digest !== sha256)
    throw artifactInvalid(options.source.name, `its ${name} is not what its manifest says`);
}

/** A root in one tar archive, as `docker export`, debootstrap and the like make it: an image of one layer. */
import type { FileHandle } from 'node:fs/promises';
import { type Digest, digestOf } from '../../oci-names/digest.js';
import type { Platform } from '../../oci-names/platform.js';
import type { Descriptor } from '../manifest.js';
import type { DocumentBytes, ImageSource } from '../source.js';
import { blobMissing, type LocalLayer, manifestOf, ownDocument } from './documents.js';
import { measureLayer } from './measure.js';
import { openFile, readRange } from './open-file.js';

/**
 * Opens such an archive, plain or packed with gzip or zstd. It is read once for its digests.
 * @param platform what the image is for: the archive does not say
 * @param name what errors call the image
 * @throws {SandboxError} `image-not-found`, `image-unreadable`, `archive-invalid`, `aborted`
 */
export async function openTarRoot(
  path: string,
  platform: Platform,
  signal?: AbortSignal,
  name = `tar:${path}`,
): Promise<ImageSource> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    const start = Buffer.alloc(8);
    await file.read(start, 0, start.length, 0);
    const { compression, digest, diffId } = await measureLayer(
      start,
      readRange(file, { from: 0, to: size, path }, signal),
      path,
    );
    const { os, architecture, variant } = platform;
    const config = Buffer.from(
      JSON.stringify({ architecture, os, variant, config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } }),
    );
    return new TarRoot(file, { path, name }, config, { digest, size, compression });
  } catch (error) {
    await file.close();
    throw error;
  }
}

class TarRoot implements ImageSource {
  readonly #manifest: DocumentBytes;
  readonly #configDigest: Digest;

  constructor(
    private readonly file: FileHandle,
    private readonly called: { readonly path: string; readonly name: string },
    private readonly config: Buffer,
    private readonly layer: LocalLayer,
  ) {
    this.#manifest = manifestOf(config, [layer]);
    this.#configDigest = digestOf(config);
  }

  get name(): string {
    return this.called.name;
  }

  async document(listed: Descriptor | undefined): Promise<DocumentBytes> {
    return ownDocument(this.#manifest, listed, this.name);
  }

  async *blob({ digest }: Descriptor, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { size } = this.layer;
    if (digest === this.#configDigest) yield this.config.subarray(from);
    else if (digest === this.layer.digest)
      yield* readRange(this.file, { from, to: size, path: this.called.path }, signal);
    else throw blobMissing(digest, this.name);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** An image in an OCI image layout, which a directory or an archive has: OCI image specification, image-layout.md. */

import { digestOf, digestParts } from '../../oci-names/digest.js';
import { digestWrong, imageError, listOf, quoted, sizeWrong } from '../../oci-names/errors.js';
import { throwIfAborted } from '../cancel.js';
import { MOST_DOCUMENT_BYTES } from '../limits.js';
import { type Descriptor, parseDocument } from '../manifest.js';
import { OCI_INDEX } from '../media-types.js';
import type { DocumentBytes, ImageSource } from '../source.js';
import { type FileTree, readWhole } from './file-tree.js';

/** Who has made an image has named it by this annotation of its descriptor. */
const NAME = 'org.opencontainers.image.ref.name';

export class LayoutImage implements ImageSource {
  /**
   * @param name what errors call the image
   * @param tag which of several images; undefined: the only one
   */
  constructor(
    private readonly tree: FileTree,
    readonly name: string,
    private readonly tag: string | undefined,
  ) {}

  async document(listed: Descriptor | undefined, signal?: AbortSignal): Promise<DocumentBytes> {
    throwIfAborted(signal);
    if (listed !== undefined) return this.#listed(listed, signal);
    const bytes = await this.#read('index.json', signal);
    if (bytes === undefined)
      throw imageError(
        'image-not-found',
        `${quoted(this.tree.path)} has no OCI image: it has no index.json`,
        'name a directory or an archive in the form of an OCI image layout',
      );
    const index = parseDocument(bytes, OCI_INDEX, this.name);
    const manifests = index.kind === 'index' ? index.manifests : [];
    const named = manifests.filter(({ annotations }) => this.tag === undefined || annotations[NAME] === this.tag);
    const [only, ...others] = named;
    if (only !== undefined && others.length === 0) return this.#listed(only, signal);
    // Images for several platforms, of which none has a name.
    if (this.tag === undefined && named.length > 1 && named.every(({ annotations }) => annotations[NAME] === undefined))
      return { bytes, digest: digestOf(bytes), mediaType: OCI_INDEX };
    throw this.#notOne(manifests);
  }

  #notOne(manifests: readonly Descriptor[]) {
    const names = manifests.map(({ annotations }) => annotations[NAME] ?? '').filter((name) => name !== '');
    const there = names.length === 0 ? 'it has no names' : `it has ${listOf(names.map(quoted))}`;
    return this.tag === undefined
      ? imageError(
          'image-ambiguous',
          `${quoted(this.tree.path)} has ${manifests.length} images; ${there}`,
          'add one of its names: oci:DIR:NAME',
        )
      : imageError(
          'image-not-found',
          `${quoted(this.tree.path)} has no image ${quoted(this.tag)}; ${there}`,
          'choose one of its names',
        );
  }

  async #listed(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<DocumentBytes> {
    const what = `${descriptor.digest} of ${this.name}`;
    const bytes = await this.#read(blobName(descriptor), signal);
    if (bytes === undefined) throw this.#missing(descriptor);
    if (bytes.length !== descriptor.size) throw sizeWrong(what, descriptor.size, `it has ${bytes.length}`);
    const digest = digestOf(bytes, digestParts(descriptor.digest).algorithm);
    if (digest !== descriptor.digest) throw digestWrong(what, descriptor.digest, digest);
    return { bytes, digest, mediaType: descriptor.mediaType };
  }

  #missing({ digest }: Descriptor) {
    return imageError(
      'blob-missing',
      `${quoted(this.tree.path)} lacks the blob ${digest}`,
      'make the directory or archive again',
    );
  }

  async #read(name: string, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    const size = await this.tree.size(name);
    if (size === undefined) return undefined;
    if (size > MOST_DOCUMENT_BYTES) throw sizeWrong(`${name} of ${this.name}`, MOST_DOCUMENT_BYTES, `it has ${size}`);
    return readWhole(this.tree, name, signal);
  }

  async *blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const size = await this.tree.size(blobName(descriptor));
    if (size === undefined) throw this.#missing(descriptor);
    if (size !== descriptor.size)
      throw sizeWrong(`blob ${descriptor.digest} of ${this.name}`, descriptor.size, `it has ${size}`);
    yield* this.tree.stream(blobName(descriptor), from, signal);
  }

  close(): Promise<void> {
    return this.tree.close();
  }
}

function blobName({ digest }: Descriptor): string {
  const { algorithm, digits } = digestParts(digest);
  return `blobs/${algorithm}/${digits}`;
}

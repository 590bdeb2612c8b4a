/** What an image is read from: a registry, a directory, an archive. All have the same interface. */
import type { Digest } from '../oci-names/digest.js';
import type { Descriptor } from './manifest.js';

/** A manifest or an index, as it came. */
export interface DocumentBytes {
  readonly bytes: Buffer;
  /** Of the bytes. It was checked if it was asked for. */
  readonly digest: Digest;
  /** As the source says; undefined if it does not. */
  readonly mediaType: string | undefined;
}

export interface ImageSource {
  /** What errors call the image: `docker.io/library/debian:13`. */
  readonly name: string;

  /**
   * The document that the source's reference names, or one that an index lists.
   * @throws {SandboxError} `image-not-found`, `digest-wrong`, and those of the source
   */
  document(listed: Descriptor | undefined, signal?: AbortSignal): Promise<DocumentBytes>;

  /**
   * The bytes of a blob from an offset on. Neither digest nor size is checked; no more than one byte comes beyond the
   * size that the descriptor says.
   * @param from an offset in bytes, less than the size
   * @throws {SandboxError} `blob-missing`, `blob-truncated`, and those of the source
   */
  blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;

  /** Lets go of connections and files. */
  close(): Promise<void>;
}

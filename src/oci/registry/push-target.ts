/** A repository of a registry that something is put into: never a mirror. */
import { type Digest, digestOf } from '../../oci-names/digest.js';
import { imageError } from '../../oci-names/errors.js';
import { type Reference, referenceText } from '../../oci-names/reference.js';
import type { Endpoint } from './endpoint.js';
import { Endpoints } from './endpoints.js';
import { locationsOf, parseLocation } from './location.js';
import type { RegistryOptions } from './options.js';

/** Something with a digest, whose bytes can be had any number of times. */
export interface StoredContent {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array>;
}

/** Where something is put: as the reference says, or elsewhere as registries.conf does. */
export interface PushLocation {
  readonly registry: string;
  readonly repository: string;
  /** Whether certificates are checked. */
  readonly isVerified: boolean;
}

export class PushTarget {
  readonly name: string;
  readonly location: PushLocation;
  readonly #endpoints: Endpoints;
  readonly #registry: Endpoint;

  /**
   * Nothing is sent yet.
   * @throws {SandboxError} `registries-conf-invalid`, `location-invalid`, `registry-blocked`; `reference-digest`: what
   *   is put is named by a tag
   */
  constructor(
    private readonly reference: Reference,
    options: RegistryOptions = {},
  ) {
    this.name = referenceText(reference);
    if (reference.digest !== undefined || reference.tag === undefined)
      throw imageError('reference-digest', `${this.name} names a digest, which comes of the content`, 'name a tag');
    this.#endpoints = new Endpoints(options);
    const { registry, rest } = locationsOf(reference, options.environment ?? process.env);
    this.#registry = this.#endpoints.at(registry, rest, { access: 'pull,push' });
    const isVerified = options.tlsVerify !== false && !registry.isInsecure;
    this.location = { ...parseLocation(registry.location, rest), isVerified };
  }

  /**
   * Puts a blob, unless it is there.
   * @returns bytes that were sent: 0 or its size
   * @throws what `open` throws
   * @throws {SandboxError} `content-changed`: it has another size; and those of `Endpoint.get`
   */
  async storeBlob({ digest, size, open }: StoredContent, signal?: AbortSignal): Promise<number> {
    const what = `blob ${digest} of ${this.name}`;
    if (await this.#registry.has(`blobs/${digest}`, what, signal)) return 0;
    await this.#registry.upload(digest, what, { size, mediaType: 'application/octet-stream', open }, signal);
    return size;
  }

  /**
   * Puts a manifest under the tag. All that it names must be there.
   * @returns its digest
   * @throws {SandboxError} those of `Endpoint.get`
   */
  async storeManifest(bytes: Buffer, mediaType: string, signal?: AbortSignal): Promise<Digest> {
    await this.#putManifest(this.reference.tag ?? '', bytes, mediaType, signal);
    return digestOf(bytes, 'sha256');
  }

  /** The same under its digest alone: no tag moves. Parameters, result and errors: those of {@link storeManifest}. */
  async storeUntagged(bytes: Buffer, mediaType: string, signal?: AbortSignal): Promise<Digest> {
    const digest = digestOf(bytes, 'sha256');
    await this.#putManifest(digest, bytes, mediaType, signal);
    return digest;
  }

  async #putManifest(under: string, bytes: Buffer, mediaType: string, signal?: AbortSignal): Promise<void> {
    const content = { size: bytes.length, mediaType, open: () => once(bytes) };
    await this.#registry.put(`manifests/${under}`, this.name, content, signal);
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#endpoints.close();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

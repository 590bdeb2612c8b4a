/** An image in a registry, as a source: OCI distribution specification 1.1, its mirrors first. */

import { digestOf, digestParts } from '../../oci-names/digest.js';
import { digestWrong, sizeWrong } from '../../oci-names/errors.js';
import { type Reference, referenceText } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { MOST_DOCUMENT_BYTES } from '../limits.js';
import type { Descriptor } from '../manifest.js';
import { ACCEPTED, bareMediaType } from '../media-types.js';
import type { DocumentBytes, ImageSource } from '../source.js';
import { answerError, readBody } from './answers.js';
import { blobBytes } from './blob-stream.js';
import type { Endpoint } from './endpoint.js';
import { Endpoints } from './endpoints.js';
import type { HttpAnswer } from './http.js';
import { locationsOf } from './location.js';
import type { RegistryOptions } from './options.js';

/**
 * Opens an image of a registry. Nothing is sent yet.
 * @throws {SandboxError} `registries-conf-invalid`, `location-invalid`, `registry-blocked`
 */
export function openRegistry(reference: Reference, options: RegistryOptions = {}): ImageSource {
  return new RegistryImage(reference, options);
}

class RegistryImage implements ImageSource {
  readonly name: string;
  readonly #endpoints: Endpoints;
  readonly #registry: Endpoint;
  readonly #mirrors: readonly Endpoint[];
  /** Mirrors that have failed: each blob would wait for them anew. */
  readonly #passedBy = new Set<Endpoint>();

  constructor(
    private readonly reference: Reference,
    options: RegistryOptions,
  ) {
    this.name = referenceText(reference);
    this.#endpoints = new Endpoints(options);
    const { registry, mirrors, rest } = locationsOf(reference, options.environment ?? process.env);
    this.#registry = this.#endpoints.at(registry, rest);
    this.#mirrors = mirrors.map((mirror) => this.#endpoints.at(mirror, rest, { attempts: 1 }));
  }

  async document(listed: Descriptor | undefined, signal?: AbortSignal): Promise<DocumentBytes> {
    const { digest, tag } = this.reference;
    const wanted = listed?.digest ?? digest;
    const what = listed === undefined ? this.name : `${listed.digest} of ${this.name}`;
    if (listed !== undefined && listed.size > MOST_DOCUMENT_BYTES)
      throw sizeWrong(what, MOST_DOCUMENT_BYTES, `its index says ${listed.size}`);
    return this.#fromFirst(signal, (endpoint) =>
      endpoint.get(`manifests/${wanted ?? tag}`, what, { accept: ACCEPTED.join(', ') }, signal, async (answer) => {
        const bytes = await readBody(answer, signal);
        refuseOtherSize(listed, bytes.length, what, endpoint.host);
        const found = digestOf(bytes, wanted === undefined ? 'sha256' : digestParts(wanted).algorithm);
        if (wanted !== undefined && found !== wanted) throw digestWrong(what, wanted, found);
        return { bytes, digest: found, mediaType: documentType(answer, endpoint.host) };
      }),
    );
  }

  async *blob(descriptor: Descriptor, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const { digest, size } = descriptor;
    const what = `blob ${digest} of ${this.name}`;
    const open = (at: number) =>
      this.#fromFirst(signal, (endpoint) =>
        endpoint.get(`blobs/${digest}`, what, at === 0 ? {} : { range: `bytes=${at}-` }, signal, (answer) => answer),
      );
    yield* blobBytes({ what, size, from, patience: this.#endpoints.patience, signal, open });
  }

  /** The answer of the first mirror that has one, or else that of the registry itself, whose error is the one. */
  async #fromFirst<T>(signal: AbortSignal | undefined, ask: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    for (const mirror of this.#mirrors) {
      if (this.#passedBy.has(mirror)) continue;
      try {
        return await ask(mirror);
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof SandboxError)) throw error;
        // One that has not got this may have something else.
        if (error.code !== 'image-not-found') this.#passedBy.add(mirror);
      }
    }
    return ask(this.#registry);
  }

  async close(): Promise<void> {
    await this.#endpoints.close();
  }
}

/** Undefined where the server does not know manifests and calls them something general. */
function documentType(answer: HttpAnswer, host: string): string | undefined {
  const type = bareMediaType(answer.header('content-type') ?? '');
  if (type === 'text/html') {
    throw answerError(host, 'a web page in place of a manifest');
  }
  return ['', 'application/json', 'application/octet-stream', 'text/plain'].includes(type) ? undefined : type;
}

function refuseOtherSize(listed: Descriptor | undefined, length: number, what: string, host: string): void {
  if (listed !== undefined && listed.size !== length) throw sizeWrong(what, listed.size, `${host} sent ${length}`);
}

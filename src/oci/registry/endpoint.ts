/** One registry or mirror, and a repository in it: sends requests with the right scheme and authorization. */

import { imageError } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { answerError, refusal } from './answers.js';
import { schemesFor } from './hosts.js';
import type { HttpAnswer, HttpClient, HttpContent, HttpRequest } from './http.js';
import type { Patience } from './options.js';
import { Retryable, withRetries } from './retries.js';
import type { Authorizer } from './tokens.js';

export interface EndpointOptions {
  readonly http: HttpClient;
  readonly authorizer: Authorizer;
  /** As in URLs: `registry-1.docker.io`. */
  readonly host: string;
  readonly repository: string;
  readonly tlsVerify: boolean;
  readonly patience: Patience;
}

export class Endpoint {
  #base: Promise<URL> | undefined;

  constructor(private readonly options: EndpointOptions) {}

  get host(): string {
    return this.options.host;
  }

  /**
   * Asks for something of the repository.
   * @param path below the repository: `manifests/latest`
   * @param what it is, for errors
   * @param take reads the answer; what it throws is not attempted again, unless it is {@link Retryable}
   * @throws {SandboxError} `registry-unreachable`, `registry-certificate`, `registry-redirect`, `registry-denied`,
   *   `registry-busy`, `registry-error`, `registry-answer`, `image-not-found`, `aborted`
   */
  async get<T>(
    path: string,
    what: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
    take: (answer: HttpAnswer) => T | Promise<T>,
  ): Promise<T> {
    return withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const url = new URL(`/v2/${this.options.repository}/${path}`, base);
      const answer = await this.#authorized({ url, headers, signal });
      if (answer.status !== 200 && answer.status !== 206) throw await refusal(answer, what, signal);
      return take(answer);
    });
  }

  /** Whether the repository has something. Parameters and errors: those of {@link get}. */
  async has(path: string, what: string, signal: AbortSignal | undefined): Promise<boolean> {
    return withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const url = new URL(`/v2/${this.options.repository}/${path}`, base);
      const answer = await this.#authorized({ url, method: 'HEAD', signal });
      if (answer.status !== 200 && answer.status !== 404) throw await refusal(answer, what, signal, 'write');
      answer.body.destroy();
      return answer.status === 200;
    });
  }

  /**
   * Puts something into the repository, as a whole: each attempt sends all of it.
   * @param path below the repository: `manifests/latest`
   * @param what it is, for errors
   * @throws what `content.open` throws
   * @throws {SandboxError} `content-changed`, and those of {@link get}
   */
  async put(path: string, what: string, content: HttpContent, signal: AbortSignal | undefined): Promise<void> {
    await withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const url = new URL(`/v2/${this.options.repository}/${path}`, base);
      await this.#putTo(url, what, content, signal);
    });
  }

  /**
   * Uploads a blob in one piece: OCI distribution specification 1.1, "Pushing a blob monolithically".
   * Parameters and errors: those of {@link put}.
   */
  async upload(digest: string, what: string, content: HttpContent, signal: AbortSignal | undefined): Promise<void> {
    await withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const url = new URL(`/v2/${this.options.repository}/blobs/uploads/`, base);
      const answer = await this.#authorized({ url, method: 'POST', headers: { 'content-length': '0' }, signal });
      if (answer.status !== 202) throw await refusal(answer, what, signal, 'write');
      answer.body.destroy();
      const location = answer.header('location') ?? '';
      const place = URL.canParse(location, base.href) ? new URL(location, base) : undefined;
      if (location === '' || place === undefined || place.protocol !== base.protocol)
        throw answerError(this.host, 'no address for an upload');
      place.username = '';
      place.password = '';
      place.searchParams.append('digest', digest);
      await this.#putTo(place, what, content, signal);
    });
  }

  async #putTo(url: URL, what: string, content: HttpContent, signal: AbortSignal | undefined): Promise<void> {
    const answer = await this.#authorized({ url, method: 'PUT', content, signal });
    if (answer.status !== 201) throw await refusal(answer, what, signal, 'write');
    answer.body.destroy();
  }

  /**
   * Logs in: whether the registry answers, with the credentials that there are. Errors: those of {@link get}.
   */
  async ping(signal: AbortSignal | undefined): Promise<void> {
    await withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const answer = await this.#authorized({ url: new URL('/v2/', base), signal });
      if (answer.status !== 200) throw await refusal(answer, this.options.host, signal, 'login');
      answer.body.destroy();
    });
  }

  /** A 401 is answered once. One that comes again is the answer. */
  async #authorized(request: Omit<HttpRequest, 'authorization'>): Promise<HttpAnswer> {
    const { http, authorizer } = this.options;
    const { url, signal } = request;
    const base = await this.#reach(signal);
    // Nobody but the registry learns who the user is, wherever it wants an upload to be sent.
    if (url.origin !== base.origin) return http.send(request);
    const authorization = authorizer.header;
    const answer = await http.send({ ...request, authorization });
    if (answer.status !== 401 || answer.url.origin !== url.origin) return answer;
    answer.body.destroy();
    const proof = await authorizer.answer(answer.header('www-authenticate'), url, authorization, signal);
    return http.send({ ...request, authorization: proof });
  }

  /** The URL of the registry, by the first scheme that it answers to. */
  #reach(signal: AbortSignal | undefined): Promise<URL> {
    this.#base ??= this.#findBase(signal).catch((error: unknown) => {
      this.#base = undefined;
      throw error;
    });
    return this.#base;
  }

  async #findBase(signal: AbortSignal | undefined): Promise<URL> {
    const { host, tlsVerify, http } = this.options;
    const [only, ...others] = schemesFor(host, tlsVerify).map((scheme) => toUrl(scheme, host));
    if (only === undefined || others.length === 0) return only ?? toUrl('https:', host);
    let first: unknown;
    for (const base of [only, ...others]) {
      try {
        const { status, body } = await http.send({ url: new URL('/v2/', base), signal });
        body.destroy();
        // 400 is what a server says that expected TLS.
        if (status !== 400) return base;
      } catch (error) {
        throwIfAborted(signal);
        // Then it has TLS, and this is what is wrong with it.
        if (error instanceof SandboxError && error.code === 'registry-certificate') throw error;
        if (!(error instanceof SandboxError || error instanceof Retryable)) throw error;
        first ??= error;
      }
    }
    throw first ?? imageError('registry-answer', `${host} is no registry`, 'see that its name and port are right');
  }
}

function toUrl(scheme: string, host: string): URL {
  return new URL(`${scheme}//${host}/`);
}

/** One registry or mirror, and a repository in it: sends requests with the right scheme and authorization. */

import { imageError } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { refusal } from './answers.js';
import { schemesFor } from './hosts.js';
import type { HttpAnswer, HttpClient } from './http.js';
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
      const answer = await this.#authorized(url, headers, signal);
      if (answer.status !== 200 && answer.status !== 206) throw await refusal(answer, what, signal);
      return take(answer);
    });
  }

  /**
   * Logs in: whether the registry answers, with the credentials that there are. Errors: those of {@link get}.
   */
  async ping(signal: AbortSignal | undefined): Promise<void> {
    await withRetries(this.options.patience, signal, async () => {
      const base = await this.#reach(signal);
      const answer = await this.#authorized(new URL('/v2/', base), {}, signal);
      if (answer.status !== 200) throw await refusal(answer, this.options.host, signal, true);
      answer.body.destroy();
    });
  }

  /** A 401 is answered once. One that comes again is the answer. */
  async #authorized(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    const { http, authorizer } = this.options;
    const authorization = authorizer.header;
    const answer = await http.send({ url, headers, authorization, signal });
    // Nobody but the registry learns who the user is.
    if (answer.status !== 401 || answer.url.origin !== url.origin) return answer;
    answer.body.destroy();
    const proof = await authorizer.answer(answer.header('www-authenticate'), url, authorization, signal);
    return http.send({ url, headers, authorization: proof, signal });
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

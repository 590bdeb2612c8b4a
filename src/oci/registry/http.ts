/**
 * One request and its answer: redirects, certificates, proxies, and the words of failures. undici is what Node's own
 * fetch is made of; by itself it can also be told which certificates to trust, and it knows proxies.
 */
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { imageError, quoted } from '../../oci-names/errors.js';
import type { SandboxError } from '../../util/errors.js';
import { messageOf } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { certificatesFor } from './certificates.js';
import { isLoopback } from './hosts.js';
import type { Patience } from './options.js';
import { Retryable } from './retries.js';

const MOST_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const USER_AGENT = 'virt-sandbox';

export interface HttpRequest {
  readonly url: URL;
  /** `GET` if there is neither a form nor this. Redirects of what writes are not followed. */
  readonly method?: 'HEAD' | 'POST' | 'PUT' | undefined;
  /** Only the host of `url` sees it. */
  readonly authorization?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** With it the request is a POST, and redirects are not followed. */
  readonly form?: URLSearchParams;
  readonly content?: HttpContent | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a request sends. */
export interface HttpContent {
  /** Bytes that `open` gives. */
  readonly size: number;
  readonly mediaType: string;
  /** Called for each attempt. What it throws is the error of the request. Another size is `content-changed`. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Read it, or destroy it. */
  readonly body: Readable;
  /** Where the answer came from at last. */
  readonly url: URL;
}

export class HttpClient {
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();

  constructor(
    private readonly settings: {
      readonly tlsVerify: boolean;
      readonly patience: Patience;
      readonly environment: NodeJS.ProcessEnv;
    },
  ) {}

  /**
   * Sends a request, and follows redirects: only to the same scheme, and without the authorization if they lead to
   * another host.
   * @throws {Retryable} another attempt may succeed
   * @throws {SandboxError} `registry-unreachable`, `registry-certificate`, `registry-redirect`, `aborted`
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    let { url } = request;
    for (let redirects = 0; ; redirects += 1) {
      const answer = await this.#sendOnce({ ...request, url }, url.origin === request.url.origin);
      // A form has a secret in it, which is for no other host.
      const isReading = request.form === undefined && (request.method ?? 'HEAD') === 'HEAD';
      if (!REDIRECTS.has(answer.status) || !isReading) return answer;
      const location = answer.header('location');
      answer.body.destroy();
      if (location === undefined || redirects >= MOST_REDIRECTS)
        throw redirectError(request.url, location === undefined ? 'nowhere' : `more than ${MOST_REDIRECTS} times`);
      const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
      if (next === undefined || next.protocol !== request.url.protocol)
        throw redirectError(
          request.url,
          `to ${quoted(next?.origin ?? location)}, which is not ${request.url.protocol.slice(0, -1)}`,
        );
      next.username = '';
      next.password = '';
      url = next;
    }
  }

  async #sendOnce(request: HttpRequest, isSameOrigin: boolean): Promise<HttpAnswer> {
    const { url, authorization, headers, form, content, signal } = request;
    throwIfAborted(signal);
    const undici = await import('undici');
    let failure: unknown;
    const watched = async function* ({ size, open }: HttpContent): AsyncGenerator<Uint8Array> {
      let length = 0;
      try {
        for await (const piece of open()) {
          length += piece.length;
          if (length <= size) yield piece;
        }
        if (length !== size) throw contentChanged(url.host, size, length);
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    try {
      const {
        statusCode,
        headers: had,
        body,
      } = await undici.request(url, {
        method: request.method ?? (form === undefined ? 'GET' : 'POST'),
        dispatcher: await this.#dispatcher(url, undici),
        headers: {
          'user-agent': USER_AGENT,
          // What is digested is what was stored, not what a server packs on the way.
          'accept-encoding': 'identity',
          ...headers,
          ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
          ...(content === undefined ? {} : { 'content-type': content.mediaType, 'content-length': `${content.size}` }),
          ...(authorization === undefined || !isSameOrigin ? {} : { authorization }),
        },
        ...(form === undefined ? {} : { body: form.toString() }),
        ...(content === undefined ? {} : { body: Readable.from(watched(content), { objectMode: false }) }),
        ...(signal === undefined ? {} : { signal }),
      });
      // A body that nobody reads any more may still fail.
      body.on('error', () => {});
      const header = (name: string) => {
        const value = had[name];
        return Array.isArray(value) ? value.join(', ') : value;
      };
      return { status: statusCode, header, body, url };
    } catch (error) {
      throwIfAborted(signal);
      if (failure !== undefined) throw failure;
      throw connectionError(error, url.host);
    }
  }

  #dispatcher(url: URL, undici: typeof import('undici')): Promise<Dispatcher> {
    const made = this.#dispatchers.get(url.origin) ?? this.#makeDispatcher(url, undici);
    this.#dispatchers.set(url.origin, made);
    return made;
  }

  async #makeDispatcher({ host, protocol }: URL, undici: typeof import('undici')): Promise<Dispatcher> {
    const { tlsVerify, patience, environment } = this.settings;
    const tls = {
      rejectUnauthorized: tlsVerify,
      timeout: patience.connect,
      ...(protocol === 'https:' ? certificatesFor(host, environment) : {}),
    };
    const common = {
      headersTimeout: patience.silence,
      bodyTimeout: patience.silence,
      connect: tls,
      connections: 6,
    };
    if (isLoopback(host)) return new undici.Agent(common);
    const proxy = (name: string) => environment[name.toLowerCase()] || environment[name.toUpperCase()] || '';
    return new undici.EnvHttpProxyAgent({
      ...common,
      requestTls: tls,
      // undici would take the proxy of HTTP for HTTPS too, which is often one that only caches packages.
      httpProxy: protocol === 'https:' ? '' : proxy('http_proxy'),
      httpsProxy: proxy('https_proxy'),
      noProxy: proxy('no_proxy'),
    });
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    for (const made of this.#dispatchers.values()) await (await made).destroy();
    this.#dispatchers.clear();
  }
}

function contentChanged(host: string, size: number, length: number): SandboxError {
  return imageError(
    'content-changed',
    `what is sent to ${host} should have ${size} bytes, and ${length} were read`,
    'see that nothing writes to it, and try again',
  );
}

function redirectError(url: URL, where: string): SandboxError {
  return imageError(
    'registry-redirect',
    `${url.host} redirects ${where}`,
    'ask its administrator, or use another registry',
  );
}

/** Codes of undici, and of connect(2), that may be gone at the next attempt. */
const PASSING =
  /^(UND_ERR_(SOCKET|CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|RES_CONTENT_LENGTH_MISMATCH|CLOSED)|ECONNRESET|EPIPE|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH)$/;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ALTNAME/;

/** The error of a connection that failed, or that broke within an answer. */
export function connectionError(error: unknown, host: string): Error {
  const code = codeOf(error);
  if (CERTIFICATE.test(code))
    return imageError(
      'registry-certificate',
      `the certificate of ${host} is not trusted (${code})`,
      `put its authority into /etc/containers/certs.d/${host}/ca.crt, or use --tls-verify=false`,
      error,
    );
  const refusal = refusalOfProxy(error);
  if (refusal !== undefined)
    return imageError(
      'registry-unreachable',
      `the proxy of this host makes no connection to ${host} (it answers ${refusal})`,
      'see https_proxy, http_proxy and no_proxy in the environment',
      error,
    );
  const how = /TIMEOUT|ETIMEDOUT/.test(code) ? 'does not answer' : 'cannot be reached';
  const unreachable = imageError(
    'registry-unreachable',
    `${host} ${how} (${code === '' ? messageOf(error) : code})`,
    'see that its name is right and that this host is online, and try again',
    error,
  );
  return PASSING.test(code) ? new Retryable(unreachable) : unreachable;
}

/** The status that a proxy has answered with; undefined: it was something else. undici has no code for it. */
function refusalOfProxy(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const status = /^Proxy response \((\d{3})\)/.exec(at.message)?.[1];
    if (status !== undefined) return status;
  }
  return undefined;
}

function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    // Of several addresses of one host.
    const one: unknown = at instanceof AggregateError ? at.errors[0] : at;
    const { code } = one as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
  }
  return '';
}

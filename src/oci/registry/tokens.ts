/**
 * Proves to one registry who the user is: by a token of its token server, or by a password. The token protocol is that
 * of the CNCF distribution project, https://distribution.github.io/distribution/spec/auth/token/.
 */

import { imageError } from '../../oci-names/errors.js';
import { isRecord, parseJson } from '../../util/records.js';
import { answerError, readBody, refusal } from './answers.js';
import { type Challenge, parseChallenges } from './challenge.js';
import { basicHeader, type Credentials } from './credentials.js';
import { mayCarrySecrets } from './hosts.js';
import type { HttpClient } from './http.js';

const CLIENT_ID = 'virt-sandbox';
/** Seconds that a token holds if its server does not say. */
const USUAL_LIFE = 60;
/** Seconds before its end from which a token is not used any more. */
const SLACK = 5;

export interface AuthorizerOptions {
  readonly http: HttpClient;
  /** The registry's host, as in its URLs. */
  readonly host: string;
  /** Undefined: none, only the registry itself. */
  readonly repository: string | undefined;
  /** What tokens are asked for; else what the registry says is needed. */
  readonly access?: 'pull,push';
  readonly tlsVerify: boolean;
  /** Looks for the credentials; called when the registry asks for some. */
  readonly credentials: (signal: AbortSignal | undefined) => Promise<Credentials | undefined>;
}

export class Authorizer {
  #header: string | undefined;
  /** Of the token, in milliseconds since the epoch. */
  #end = Number.POSITIVE_INFINITY;
  #renewal: Promise<void> | undefined;

  constructor(private readonly options: AuthorizerOptions) {}

  /** The value of Authorization; undefined before the first challenge, and when the token is at its end. */
  get header(): string | undefined {
    return Date.now() < this.#end ? this.#header : undefined;
  }

  /**
   * The header that answers a challenge. Requests that fail at the same time get one header between them.
   * @param challenge the value of WWW-Authenticate
   * @param url where it came from
   * @param refused the header that was not taken
   * @throws {SandboxError} `registry-denied`, `registry-answer`, `registry-insecure`, and those of a request
   */
  async answer(
    challenge: string | undefined,
    url: URL,
    refused: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (this.header !== undefined && this.header !== refused) return this.header;
    this.#renewal ??= this.#renew(challenge ?? '', url, signal).finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
    // Not `header`: a token that lives for a second serves for one request.
    return this.#header;
  }

  async #renew(text: string, url: URL, signal: AbortSignal | undefined): Promise<void> {
    const challenges = parseChallenges(text);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const basic = challenges.find(({ scheme }) => scheme === 'basic');
    const credentials = await this.options.credentials(signal);
    if (bearer !== undefined) return this.#takeToken(bearer, credentials, url, signal);
    if (basic === undefined) throw answerError(this.options.host, 'status 401 and no way to log in');
    if (credentials?.kind !== 'password') throw this.#denied('it wants a user and a password');
    this.#refuseInsecure(url);
    this.#header = basicHeader(credentials);
    this.#end = Number.POSITIVE_INFINITY;
  }

  async #takeToken(
    { parameters }: Challenge,
    credentials: Credentials | undefined,
    from: URL,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const realm = URL.canParse(parameters['realm'] ?? '') ? new URL(parameters['realm'] ?? '') : undefined;
    if (realm === undefined || !(realm.protocol === 'https:' || realm.protocol === from.protocol))
      throw answerError(this.options.host, 'the address of a token server that cannot be used');
    if (credentials !== undefined) this.#refuseInsecure(realm);
    const query: [string, string][] = [];
    if (parameters['service'] !== undefined) query.push(['service', parameters['service']]);
    const { repository, access } = this.options;
    const own = repository === undefined ? undefined : `repository:${repository}:${access ?? 'pull'}`;
    // What the first challenge names is for reading, and what is read first is about to be written.
    const scope = access === undefined ? (parameters['scope'] ?? own) : own;
    if (scope !== undefined) query.push(['scope', scope]);
    const request =
      credentials?.kind === 'identity'
        ? {
            url: realm,
            form: new URLSearchParams([
              ['grant_type', 'refresh_token'],
              ['refresh_token', credentials.token],
              ['client_id', CLIENT_ID],
              ...query,
            ]),
          }
        : {
            url: withQuery(realm, query),
            authorization: credentials === undefined ? undefined : basicHeader(credentials),
          };
    const answer = await this.options.http.send({ ...request, signal });
    if (answer.status !== 200)
      throw await refusal(answer, `a token for ${this.#what}`, signal, repository === undefined ? 'login' : 'read');
    const { token, life } = parseToken(await readBody(answer, signal), realm.host);
    this.#header = `Bearer ${token}`;
    this.#end = Date.now() + Math.max(0, life - SLACK) * 1000;
  }

  /** @throws {SandboxError} `registry-insecure` */
  #refuseInsecure(url: URL): void {
    const { host, tlsVerify } = this.options;
    if (mayCarrySecrets(url, host, tlsVerify)) return;
    throw imageError(
      'registry-insecure',
      `${host} wants a password to be sent to ${url.host} without TLS`,
      'use a registry with TLS, or remove its user from the auth file',
    );
  }

  get #what(): string {
    const { host, repository } = this.options;
    return repository === undefined ? host : `${host}/${repository}`;
  }

  #denied(why: string) {
    return imageError(
      'registry-denied',
      `${this.#what} may not be ${this.options.access === undefined ? 'read' : 'written'}: ${why}`,
      'log in, or name a file that has them with --authfile',
    );
  }
}

function withQuery(url: URL, query: readonly (readonly [string, string])[]): URL {
  const full = new URL(url);
  for (const [name, value] of query) full.searchParams.append(name, value);
  return full;
}

function parseToken(body: Buffer, host: string): { token: string; life: number } {
  const value = parseJson(body.toString('utf8'));
  if (!isRecord(value)) throw answerError(host, 'something else than a token');
  const token = value['token'] || value['access_token'];
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw answerError(host, 'something else than a token');
  const life = value['expires_in'];
  return { token, life: typeof life === 'number' && Number.isFinite(life) ? Math.min(life, 86_400) : USUAL_LIFE };
}

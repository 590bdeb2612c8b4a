/** The endpoints of one image: they share connections, by whether certificates are checked. */
import { findCredentials } from './auth-files.js';
import { Endpoint } from './endpoint.js';
import { apiHost } from './hosts.js';
import { HttpClient } from './http.js';
import { parseLocation } from './location.js';
import { PATIENCE, type Patience, type RegistryOptions } from './options.js';
import type { Location } from './registries-conf.js';
import { Authorizer, type AuthorizerOptions } from './tokens.js';

export class Endpoints {
  readonly patience: Patience;
  /** By whether they check certificates. */
  readonly #clients = new Map<boolean, HttpClient>();

  constructor(private readonly options: RegistryOptions) {
    this.patience = { ...PATIENCE, ...options.patience };
  }

  /**
   * @param rest of the image's name, behind `location`
   * @throws {SandboxError} `location-invalid`
   */
  at(
    { location, isInsecure }: Location,
    rest: string,
    { attempts, access }: { readonly attempts?: number; readonly access?: AuthorizerOptions['access'] } = {},
  ): Endpoint {
    const { tlsVerify = true, environment = process.env, authFile } = this.options;
    const { registry, repository } = parseLocation(location, rest);
    const isVerified = tlsVerify && !isInsecure;
    const http = this.#clientFor(isVerified, environment);
    const common = { http, host: apiHost(registry), repository, tlsVerify: isVerified };
    const authorizer = new Authorizer({
      ...common,
      ...(access === undefined ? {} : { access }),
      credentials: (signal) => findCredentials(registry, repository, { authFile, environment, signal }),
    });
    const patience = attempts === undefined ? this.patience : { ...this.patience, attempts };
    return new Endpoint({ ...common, authorizer, patience });
  }

  /** One that believes every certificate is for those registries that the user has named so, and whom they name. */
  #clientFor(tlsVerify: boolean, environment: NodeJS.ProcessEnv): HttpClient {
    const there = this.#clients.get(tlsVerify);
    if (there !== undefined) return there;
    const client = new HttpClient({ tlsVerify, patience: this.patience, environment });
    this.#clients.set(tlsVerify, client);
    return client;
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }
}

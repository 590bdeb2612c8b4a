/** Logging in to registries and out: credentials are tried, and written to an auth file that other tools read too. */
import { imageError, quoted } from '../../oci-names/errors.js';
import { makeReference } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';
import {
  authsOf,
  type FileWithHost,
  filesWithHost,
  keysOfHost,
  loginFile,
  readLoginFile,
  usedBefore,
} from './auth-files.js';
import { Endpoint } from './endpoint.js';
import { apiHost } from './hosts.js';
import { HttpClient } from './http.js';
import { hostOfRegistry, type RegistryHost } from './location.js';
import { type Auths, changeLoginFile, refuseUnwritable } from './login-file.js';
import { PATIENCE, type RegistryOptions } from './options.js';
import { Authorizer } from './tokens.js';

export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * The name of a registry, as auth files have it: Docker Hub's is `docker.io`.
 * @throws {SandboxError} `reference-invalid`
 */
export function registryName(text: string): string {
  const host = text.replace(/^https:\/\//, '').replace(/\/+$/, '');
  try {
    return makeReference({ registry: host, repository: 'name', tag: undefined, digest: undefined }, text).registry;
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    const remedy = 'write HOST[:PORT], such as quay.io or localhost:5000';
    throw imageError('reference-invalid', `${quoted(text)} is no name of a registry`, remedy, error);
  }
}

/** Where a login goes. */
export interface LoginTarget extends RegistryHost {
  /** The auth file that will have the password. */
  readonly file: string;
}

/**
 * Where a login goes: what can be known before there is a password, of which nobody should be asked in vain.
 * @param registry as {@link registryName} has it
 * @throws {SandboxError} `registry-blocked`, `registries-conf-invalid`, `location-invalid`, `auth-file-unreadable`,
 *   `auth-file-not-writable`
 */
export function loginTarget(registry: string, options: RegistryOptions = {}): LoginTarget {
  const { environment = process.env, authFile } = options;
  const host = hostOfRegistry(registry, environment);
  const file = loginFile(authFile, environment);
  refuseUnwritable(file);
  return { ...host, file };
}

/** What a login has done. */
export interface LoggedIn extends LoginTarget {
  /** False: the registry asked for no password, so nobody knows whether it is right. */
  readonly isTried: boolean;
  /** What the file has that pulls use before this password: `auths["HOST/team"]`. */
  readonly before: readonly string[];
}

/**
 * Tries credentials, and writes them to the auth file, not encrypted: all who may read that file have them.
 * @param registry as {@link registryName} has it
 * @throws {SandboxError} those of {@link loginTarget}; `registry-denied` and the other errors of registries;
 *   `login-invalid`, `aborted`
 */
export async function logIn(
  registry: string,
  { user, password }: Login,
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<LoggedIn> {
  if (user === '' || user.includes(':') || password === '')
    throw imageError('login-invalid', 'a user needs a name without colons, and a password', 'give both');
  const target = loginTarget(registry, options);
  const isTried = await tryLogin(target, { user, password }, options, signal);
  const auth = Buffer.from(`${user}:${password}`).toString('base64');
  const changed = await changeLoginFile(target.file, signal, (auths) => ({ ...auths, [target.registry]: { auth } }));
  return { ...target, isTried, before: usedBefore(changed, target.registry) };
}

/** @returns whether the registry asked for the password */
async function tryLogin(
  { registry, isInsecure }: RegistryHost,
  login: Login,
  { tlsVerify = true, environment = process.env, ...options }: RegistryOptions,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const isVerified = tlsVerify && !isInsecure;
  const patience = { ...PATIENCE, ...options.patience };
  const http = new HttpClient({ tlsVerify: isVerified, patience, environment });
  const common = { http, host: apiHost(registry), tlsVerify: isVerified };
  let isTried = false;
  const credentials = async () => {
    isTried = true;
    return { kind: 'password' as const, ...login };
  };
  const authorizer = new Authorizer({ ...common, repository: undefined, credentials });
  try {
    await new Endpoint({ ...common, repository: '', authorizer, patience }).ping(signal);
  } finally {
    await http.close();
  }
  return isTried;
}

/** What a logout has done. */
export interface LoggedOut {
  /** False: the auth file that `login` writes had no credentials of the registry. */
  readonly had: boolean;
  /** Files that have some all the same, or name a helper: they are used from now on. */
  readonly others: readonly FileWithHost[];
}

/**
 * Removes the credentials of a registry from the auth file, whatever that calls it.
 * @throws {SandboxError} `auth-file-unreadable`, `auth-file-not-writable`, `aborted`
 */
export async function logOut(
  registry: string,
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<LoggedOut> {
  const { authFile, environment = process.env } = options;
  const path = loginFile(authFile, environment);
  const names = namesOf(registry, environment);
  const keysIn = (auths: Auths) => names.flatMap((name) => keysOfHost(auths, name));
  let had = false;
  const without = (auths: Auths) => {
    const keys = keysIn(auths);
    had = keys.length > 0;
    return had ? Object.fromEntries(Object.entries(auths).filter(([key]) => !keys.includes(key))) : undefined;
  };
  // A file that has none is not touched, and none is made.
  if (keysIn(authsOf(readLoginFile(path))).length > 0) await changeLoginFile(path, signal, without);
  const others = names.flatMap((name) => filesWithHost(name, authFile, environment));
  return { had, others: others.filter(({ path: one }, at) => others.findIndex((other) => other.path === one) === at) };
}

/** What auth files may call a registry: its name, and where registries.conf says that it is. */
function namesOf(registry: string, environment: NodeJS.ProcessEnv): string[] {
  try {
    return [...new Set([registry, hostOfRegistry(registry, environment).registry])];
  } catch (error) {
    // A password of a registry that is blocked now has to go, too.
    if (error instanceof SandboxError) return [registry];
    throw error;
  }
}

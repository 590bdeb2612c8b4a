/** Logging in to registries and out: credentials are tried, and written to an auth file that other tools read too. */
import { chmodSync, lstatSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { makeReference } from '../../oci-names/reference.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { withLock } from '../lock.js';
import { authsOf, filesWithHost, keysOfHost, loginFile, readLoginFile } from './auth-files.js';
import { Endpoint } from './endpoint.js';
import { apiHost } from './hosts.js';
import { HttpClient } from './http.js';
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
  return makeReference({ registry: host, repository: 'name', tag: undefined, digest: undefined }, text).registry;
}

/** What a login has done. */
export interface LoggedIn {
  /** The auth file that has the password now. */
  readonly file: string;
  /** False: the registry asked for no password, so nobody knows whether it is right. */
  readonly isTried: boolean;
}

/**
 * Tries credentials, and writes them to the auth file. Whoever may read that file has them: they are not encrypted.
 * @param registry as {@link registryName} has it
 * @throws {SandboxError} `registry-denied` and the other errors of registries; `auth-file-unreadable`,
 *   `auth-file-not-writable`, `login-invalid`, `aborted`
 */
export async function logIn(
  registry: string,
  { user, password }: Login,
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<LoggedIn> {
  if (user === '' || user.includes(':') || password === '')
    throw imageError('login-invalid', 'a user needs a name without colons, and a password', 'give both');
  const { tlsVerify = true, environment = process.env, authFile } = options;
  const patience = { ...PATIENCE, ...options.patience };
  const http = new HttpClient({ tlsVerify, patience, environment });
  const common = { http, host: apiHost(registry), tlsVerify };
  let isTried = false;
  const credentials = async () => {
    isTried = true;
    return { kind: 'password' as const, user, password };
  };
  const authorizer = new Authorizer({ ...common, repository: undefined, credentials });
  try {
    await new Endpoint({ ...common, repository: '', authorizer, patience }).ping(signal);
  } finally {
    await http.close();
  }
  const auth = Buffer.from(`${user}:${password}`).toString('base64');
  const file = loginFile(authFile, environment);
  await change(file, signal, (auths) => ({ ...auths, [registry]: { auth } }));
  return { file, isTried };
}

/** What a logout has done. */
export interface LoggedOut {
  /** False: the auth file that `login` writes had no credentials of the registry. */
  readonly had: boolean;
  /** Other files that have some, which are used from now on. */
  readonly others: readonly string[];
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
  let had = false;
  const without = (auths: Auths) => {
    const keys = keysOfHost(auths, registry);
    had = keys.length > 0;
    return had ? Object.fromEntries(Object.entries(auths).filter(([key]) => !keys.includes(key))) : undefined;
  };
  // A file that has none is not touched, and none is made.
  if (keysOfHost(authsOf(readLoginFile(path)), registry).length > 0) await change(path, signal, without);
  return { had, others: filesWithHost(registry, authFile, environment) };
}

type Auths = Readonly<Record<string, unknown>>;

/**
 * Changes what a file has of registries; what else is in it stays as it is. Of two who change it at once, one waits.
 * @param edit returns undefined to leave it
 */
async function change(
  path: string,
  signal: AbortSignal | undefined,
  edit: (auths: Auths) => Auths | undefined,
): Promise<void> {
  try {
    if (makeDirectories(dirname(path), 0o700) !== undefined) chmodSync(dirname(path), 0o700);
    const lock = `${path}.lock`;
    await withLock(lock, 'exclusive', { signal }, async () => {
      try {
        const file = readLoginFile(path);
        const auths = edit(authsOf(file));
        if (auths === undefined) return;
        const content = `${JSON.stringify({ ...file, auths }, undefined, 2)}\n`;
        await replaceFile(targetOf(path), content, { mode: 0o600, flush: true });
      } finally {
        // Who waits for it sees that, and makes a new one.
        await rm(lock, { force: true });
      }
    });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw imageError(
      'auth-file-not-writable',
      `the auth file ${path} cannot be written (${error.code})`,
      'name another with --authfile',
      error,
    );
  }
}

/** The file that a symbolic link leads to: the link stays, and no password stays behind it. */
function targetOf(path: string): string {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true ? realpathSync(path) : path;
}

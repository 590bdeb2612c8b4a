/** Logging in to registries and out: credentials are tried, and written to an auth file that other tools read too. */
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { makeReference } from '../../oci-names/reference.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { isRecord } from '../../util/records.js';
import { replaceFile } from '../../util/replace-file.js';
import { loginFile, readLoginFile } from './auth-files.js';
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

/**
 * Tries credentials, and writes them to the auth file. Whoever may read that file has them: they are not encrypted.
 * @param registry as {@link registryName} has it
 * @returns the file
 * @throws {SandboxError} `registry-denied` and the other errors of registries; `auth-file-unreadable`,
 *   `auth-file-not-writable`, `login-invalid`, `aborted`
 */
export async function logIn(
  registry: string,
  { user, password }: Login,
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<string> {
  if (user === '' || user.includes(':') || password === '')
    throw imageError('login-invalid', 'a user needs a name without colons, and a password', 'give both');
  const { tlsVerify = true, environment = process.env, authFile } = options;
  const patience = { ...PATIENCE, ...options.patience };
  const http = new HttpClient({ tlsVerify, patience, environment });
  const common = { http, host: apiHost(registry), tlsVerify };
  const credentials = async () => ({ kind: 'password' as const, user, password });
  const authorizer = new Authorizer({ ...common, repository: undefined, credentials });
  try {
    await new Endpoint({ ...common, repository: '', authorizer, patience }).ping(signal);
  } finally {
    await http.close();
  }
  const auth = Buffer.from(`${user}:${password}`).toString('base64');
  return change(loginFile(authFile, environment), (auths) => {
    auths[registry] = { auth };
  });
}

/**
 * Removes the credentials of a registry from the auth file.
 * @returns false: it had none
 * @throws {SandboxError} `auth-file-unreadable`, `auth-file-not-writable`
 */
export async function logOut(registry: string, options: RegistryOptions = {}): Promise<boolean> {
  const path = loginFile(options.authFile, options.environment ?? process.env);
  let had = false;
  await change(path, (auths) => {
    had = Object.hasOwn(auths, registry);
    delete auths[registry];
  });
  return had;
}

/** What else is in the file stays as it is. */
async function change(path: string, edit: (auths: Record<string, unknown>) => void): Promise<string> {
  const file = readLoginFile(path);
  const auths = Object.assign(Object.create(null), isRecord(file['auths']) ? file['auths'] : {}) as Record<
    string,
    unknown
  >;
  edit(auths);
  try {
    if (makeDirectories(dirname(path), 0o700) !== undefined) chmodSync(dirname(path), 0o700);
    await replaceFile(path, `${JSON.stringify({ ...file, auths }, undefined, 2)}\n`, { mode: 0o600, flush: true });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw imageError(
      'auth-file-not-writable',
      `the auth file ${path} cannot be written (${error.code})`,
      'name another with --authfile',
      error,
    );
  }
  return path;
}

/** Where passwords for registries are kept: the files of Docker's and podman's `login`, containers-auth.json(5). */
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { imageError } from '../../oci-names/errors.js';
import { DOCKER_HUB } from '../../oci-names/reference.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { isRecord, parseJson } from '../../util/records.js';
import { askHelper, findHelper } from './credential-helper.js';
import type { Credentials } from './credentials.js';

/** Largest auth file, in bytes. */
const MOST_FILE_BYTES = 4 << 20;

/** What Docker calls Docker Hub in its files. */
const HUB_KEY = 'https://index.docker.io/v1/';

interface AuthFile {
  readonly path: string;
  /** The user has named it, so it must be there. */
  readonly isNamed: boolean;
  /** `~/.dockercfg` has hosts only. */
  readonly isOld?: boolean;
}

/** The files in their order. One that the user names is the only one. */
export function authFilePaths(authFile: string | undefined, environment: NodeJS.ProcessEnv): AuthFile[] {
  const named = authFile ?? environment['REGISTRY_AUTH_FILE'];
  if (named) return [{ path: named, isNamed: true }];
  const home = environment['HOME'] || homedir();
  const runtime = environment['XDG_RUNTIME_DIR'];
  // Where root's is without a session.
  const session = runtime ? join(runtime, 'containers') : `/run/containers/${process.geteuid?.() ?? 0}`;
  const config = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  const docker = environment['DOCKER_CONFIG'] || join(home, '.docker');
  return [
    { path: join(session, 'auth.json'), isNamed: false },
    { path: join(config, 'containers', 'auth.json'), isNamed: false },
    { path: join(docker, 'config.json'), isNamed: false },
    { path: join(home, '.dockercfg'), isNamed: false, isOld: true },
  ];
}

/**
 * The credentials for a repository: the first that are found.
 * @param registry as in references: `docker.io`
 * @throws {SandboxError} `auth-file-unreadable`; `aborted`
 */
export async function findCredentials(
  registry: string,
  repository: string,
  options: { authFile?: string | undefined; environment: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<Credentials | undefined> {
  for (const file of authFilePaths(options.authFile, options.environment)) {
    const content = readAuthFile(file);
    if (content === undefined) continue;
    const found = await inFile(content, keysFor(registry, repository), options);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The file that a login is written to: the one that the user names, or the first. @see containers-auth.json(5)
 */
export function loginFile(authFile: string | undefined, environment: NodeJS.ProcessEnv): string {
  return authFilePaths(authFile, environment)[0]?.path ?? '';
}

/**
 * The content of an auth file, to be changed; empty if there is none.
 * @throws {SandboxError} `auth-file-unreadable`
 */
export function readLoginFile(path: string): Readonly<Record<string, unknown>> {
  return isMissing(path) ? {} : (readAuthFile({ path, isNamed: true }) ?? {});
}

/** What cannot be looked at for another reason is an error when it is read. */
function isMissing(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

/** What a file has of registries, by their names. */
export function authsOf(file: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  // A name may be `__proto__`.
  return Object.assign(Object.create(null), isRecord(file['auths']) ? file['auths'] : {}) as Record<string, unknown>;
}

/** The keys of a registry as a whole: its name, and the URLs that Docker writes. */
export function keysOfHost(auths: Readonly<Record<string, unknown>>, registry: string): string[] {
  const names = [registry, ...hubKeys(registry)];
  return Object.keys(auths).filter(
    (key) => names.includes(key) || (/^https?:\/\//.test(key) && names.includes(key.split('/')[2] ?? '')),
  );
}

/** A file that has credentials of a registry or of a part of it, or that names a helper which may have some. */
export interface FileWithHost {
  readonly path: string;
  readonly has: 'password' | 'helper';
}

/** Such files, in the order in which they are read. Helpers are not asked. */
export function filesWithHost(
  registry: string,
  authFile: string | undefined,
  environment: NodeJS.ProcessEnv,
): FileWithHost[] {
  const files = authFilePaths(authFile, environment).filter(({ path }) => existsSync(path));
  return files.flatMap((file): FileWithHost[] => {
    const content = readableOnly(file);
    const auths = authsOf(content);
    const { path } = file;
    if (keysOfHost(auths, registry).length > 0 || keysBelow(auths, registry).length > 0)
      return [{ path, has: 'password' }];
    const isHelped = helperKeys(content, registry).length > 0 || isHelper(content['credsStore']);
    return isHelped ? [{ path, has: 'helper' }] : [];
  });
}

/**
 * What a file has that is used before the credentials of a registry as a whole, as people find it there:
 * `credHelpers["HOST"]`, `auths["HOST/team"]`.
 */
export function usedBefore(file: Readonly<Record<string, unknown>>, registry: string): string[] {
  const named = (record: string) => (key: string) => `${record}[${JSON.stringify(key)}]`;
  return [
    ...helperKeys(file, registry).map(named('credHelpers')),
    ...keysBelow(authsOf(file), registry).map(named('auths')),
  ];
}

/** Keys of parts of a registry: `HOST/team`. */
function keysBelow(record: Readonly<Record<string, unknown>>, registry: string): string[] {
  return Object.keys(record).filter((key) => key.startsWith(`${registry}/`));
}

/** Keys of a registry, or of a part of it, with a helper that can be asked. */
function helperKeys(file: Readonly<Record<string, unknown>>, registry: string): string[] {
  const helpers = isRecord(file['credHelpers']) ? file['credHelpers'] : {};
  const keys = [...[registry, ...hubKeys(registry)].filter((key) => Object.hasOwn(helpers, key))];
  return [...keys, ...keysBelow(helpers, registry)].filter((key) => isHelper(helpers[key]));
}

function isHelper(name: unknown): boolean {
  return typeof name === 'string' && findHelper(name) !== undefined;
}

/** The content of a file; one that cannot be read counts as empty: a pull, which needs it, tells of it. */
function readableOnly(file: AuthFile): Readonly<Record<string, unknown>> {
  try {
    return readAuthFile(file) ?? {};
  } catch (error) {
    if (error instanceof SandboxError) return {};
    throw error;
  }
}

/** The keys that may have the credentials, the most exact first: `HOST/ns/repo`, `HOST/ns`, `HOST`. */
function keysFor(registry: string, repository: string): string[] {
  const parts = repository.split('/');
  const names = parts.map((_, at) => `${registry}/${parts.slice(0, parts.length - at).join('/')}`);
  return [...names, registry, ...hubKeys(registry)];
}

function hubKeys(registry: string): string[] {
  return registry === DOCKER_HUB ? [HUB_KEY, 'index.docker.io'] : [];
}

function readAuthFile({ path, isNamed, isOld }: AuthFile): Readonly<Record<string, unknown>> | undefined {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MOST_FILE_BYTES) throw unreadable(path, `has more than ${MOST_FILE_BYTES} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (!isNamed && (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES')) return undefined;
    throw unreadable(path, `cannot be read (${error.code})`, error);
  }
  const value = parseJson(text);
  if (!isRecord(value)) throw unreadable(path, 'is no JSON object');
  return isOld === true ? { auths: value } : value;
}

function unreadable(path: string, why: string, cause?: unknown) {
  return imageError(
    'auth-file-unreadable',
    `the auth file ${path} ${why}`,
    'mend it, or name another with --authfile',
    cause,
  );
}

async function inFile(
  file: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  { environment, signal }: { environment: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<Credentials | undefined> {
  const helpers = isRecord(file['credHelpers']) ? file['credHelpers'] : {};
  for (const key of keys) {
    const helper = own(helpers, key);
    if (typeof helper !== 'string') continue;
    const found = await askHelper(helper, key, environment, signal);
    if (found !== undefined) return found;
  }
  const auths = isRecord(file['auths']) ? file['auths'] : {};
  for (const key of keys) {
    const found = parseEntry(own(auths, key) ?? byHost(auths, key));
    if (found !== undefined) return found;
  }
  const store = file['credsStore'];
  if (typeof store !== 'string' || store === '') return undefined;
  // A store knows hosts, and Docker Hub by its old URL.
  const host = keys.includes(HUB_KEY) ? HUB_KEY : keys.at(-1);
  return host === undefined ? undefined : askHelper(store, host, environment, signal);
}

function own(record: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** Docker's files may have URLs as keys: `https://host.example/v1/`. */
function byHost(auths: Readonly<Record<string, unknown>>, host: string): unknown {
  if (host.includes('/')) return undefined;
  const key = Object.keys(auths).find((key) => /^https?:\/\//.test(key) && key.split('/')[2] === host);
  return key === undefined ? undefined : auths[key];
}

/** `{auth: base64 of user:password}`, `{username, password}`, or with an `identitytoken`. */
function parseEntry(entry: unknown): Credentials | undefined {
  if (!isRecord(entry)) return undefined;
  const { auth, username, password, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '') return { kind: 'identity', token: identitytoken };
  if (typeof auth === 'string' && auth !== '') {
    const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = text.indexOf(':');
    return colon < 0 ? undefined : { kind: 'password', user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  if (typeof username === 'string' && username !== '' && typeof password === 'string')
    return { kind: 'password', user: username, password };
  return undefined;
}

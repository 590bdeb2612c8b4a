/** Programs that keep passwords for Docker and podman: `docker-credential-NAME`. */
import { findInPath } from '../../util/programs.js';
import { isRecord, parseJson } from '../../util/records.js';
import { throwIfAborted } from '../cancel.js';
import type { Credentials } from './credentials.js';

/** Milliseconds. A helper may ask a person. */
const TIMEOUT = 120_000;
const MOST_OUTPUT = 1 << 20;
/** The user name that means that the secret is an identity token. */
const TOKEN_USER = '<token>';

/** The path of a helper; undefined: it is not installed. */
export function findHelper(name: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) ? findInPath(`docker-credential-${name}`) : undefined;
}

/**
 * The credentials that a helper has for a server; undefined if it has none, fails, or is not installed: then the image
 * may still be one for everybody.
 * @param name of the helper: `pass`, `secretservice`
 * @param server as the helper knows it; it reads that on standard input
 * @throws {SandboxError} `aborted`
 */
export async function askHelper(
  name: string,
  server: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<Credentials | undefined> {
  throwIfAborted(signal);
  const path = findHelper(name);
  if (path === undefined) return undefined;
  const { execa } = await import('execa');
  const result = await execa(path, ['get'], {
    input: server,
    env: environment,
    extendEnv: false,
    stdio: ['pipe', 'pipe', 'ignore'],
    reject: false,
    timeout: TIMEOUT,
    maxBuffer: MOST_OUTPUT,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  throwIfAborted(signal);
  if (result.failed) return undefined;
  const value = parseJson(result.stdout);
  if (!isRecord(value)) return undefined;
  const { Username: user, Secret: secret } = value;
  if (typeof user !== 'string' || typeof secret !== 'string' || secret === '') return undefined;
  return user === TOKEN_USER ? { kind: 'identity', token: secret } : { kind: 'password', user, password: secret };
}

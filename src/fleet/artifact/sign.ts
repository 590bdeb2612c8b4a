/** Signs a pushed artifact with cosign, which keeps the signature in the same repository. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { abortedError } from '../../oci/cancel.js';
import { findCredentials } from '../../oci/registry/auth-files.js';
import type { Credentials } from '../../oci/registry/credentials.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import type { PushLocation } from '../../oci/registry/push-target.js';
import type { Digest } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { DOCKER_HUB } from '../../oci-names/reference.js';
import { escapeLines, isSystemError, oneLine, SHOWN_CHARACTERS } from '../../util/errors.js';

export interface Signing {
  /** Path or URI of a private key, as cosign takes it. Undefined: cosign asks for the user's identity. */
  readonly key: string | undefined;
}

/**
 * Refuses before anything is packed.
 * @throws {SandboxError} `cosign-missing`, `cosign-key-missing`
 */
export async function requireCosign({ key }: Signing): Promise<void> {
  try {
    await execa('cosign', ['version'], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw imageError(
        'cosign-missing',
        'cosign is not installed, and --sign needs it',
        'install it (Debian: cosign), or leave out --sign',
        error,
      );
  }
  if (key === undefined || key.includes('://')) return;
  try {
    await stat(key);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw imageError(
      'cosign-key-missing',
      `the key ${quoted(key)} is not there (${error.code})`,
      'make one with cosign generate-key-pair, or name another with --sign-key',
      error,
    );
  }
}

export interface SignOptions {
  readonly registry: RegistryOptions;
  /** A directory for files that are removed with it. */
  readonly workspace: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Signs by digest. A signature with a key is not put into the public log, which has all names.
 * @throws {SandboxError} `cosign-failed`, `aborted`; those of reading credentials
 * @throws the error of a system call on the workspace
 */
export async function signArtifact(
  location: PushLocation,
  digest: Digest,
  { key }: Signing,
  { registry, workspace, signal }: SignOptions,
): Promise<void> {
  const named = `${location.registry}/${location.repository}@${digest}`;
  const insecure = location.isVerified ? [] : ['--allow-insecure-registry', '--allow-http-registry'];
  const ofKey = key === undefined ? [] : ['--key', key, '--tlog-upload=false'];
  const config = await configFor(location, registry, workspace, signal);
  const cosign = execa('cosign', ['sign', '--yes', ...ofKey, ...insecure, named], {
    env: { ...(registry.environment ?? process.env), DOCKER_CONFIG: config },
    extendEnv: false,
    stdin: 'inherit',
    stdout: 'ignore',
    stderr: 'pipe',
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  // It asks there for a password, or to visit a page.
  if (process.stdin.isTTY)
    cosign.stderr.on('data', (words: Buffer) => process.stderr.write(escapeLines(words.toString('utf8'))));
  try {
    await cosign;
  } catch (error) {
    if (signal?.aborted) throw abortedError(error);
    const words = lastWords(error);
    const remedy = /decrypt|password/i.test(words)
      ? 'set COSIGN_PASSWORD to the password of the key'
      : `see what it says of the same by hand: cosign sign${key === undefined ? '' : ' --key KEY'}`;
    throw imageError(
      'cosign-failed',
      `cosign does not sign ${named}: ${words}`,
      `${remedy}; the tag has not moved, so push again`,
      error,
    );
  }
}

/**
 * A directory with the registry's credentials as Docker has them: cosign reads those alone, and a login may be
 * elsewhere.
 */
async function configFor(
  { registry, repository }: PushLocation,
  { authFile, environment = process.env }: RegistryOptions,
  workspace: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const found = await findCredentials(registry, repository, { authFile, environment, signal });
  const directory = join(workspace, 'cosign');
  await mkdir(directory, { mode: 0o700 });
  const name = registry === DOCKER_HUB ? 'https://index.docker.io/v1/' : registry;
  const content = JSON.stringify({ auths: found === undefined ? {} : { [name]: authOf(found) } });
  await writeFile(join(directory, 'config.json'), content, { mode: 0o600 });
  return directory;
}

/** As Docker's file has it. */
function authOf(found: Credentials): Record<string, string> {
  if (found.kind === 'identity') return { identitytoken: found.token };
  return { auth: Buffer.from(`${found.user}:${found.password}`).toString('base64') };
}

/** The end of what it said: the cause comes last in its chains of errors. */
function lastWords(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const line = lines.findLast((one) => one.startsWith('Error')) ?? lines.at(-1) ?? '';
  const words = oneLine(line === '' && error instanceof Error ? error.message : line);
  return words.length <= SHOWN_CHARACTERS / 2 ? words : `…${words.slice(-SHOWN_CHARACTERS / 2)}`;
}

/** Signs a pushed artifact with cosign, which keeps the signature in the same repository. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { abortedError } from '../../oci/cancel.js';
import { findCredentials } from '../../oci/registry/auth-files.js';
import type { Credentials } from '../../oci/registry/credentials.js';
import type { RegistryOptions } from '../../oci/registry/options.js';
import type { Digest } from '../../oci-names/digest.js';
import { imageError, shown } from '../../oci-names/errors.js';
import { DOCKER_HUB, type Reference, referenceText } from '../../oci-names/reference.js';
import { isSystemError } from '../../util/errors.js';

export interface Signing {
  /** Path or URI of a private key, as cosign takes it. Undefined: cosign asks for the user's identity. */
  readonly key: string | undefined;
}

/**
 * Refuses before anything is sent.
 * @throws {SandboxError} `cosign-missing`
 */
export async function requireCosign(): Promise<void> {
  try {
    await execa('cosign', ['version'], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', reject: true });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) return;
    throw imageError(
      'cosign-missing',
      'cosign is not installed, and --sign needs it',
      'install it (Debian: cosign), or leave out --sign',
      error,
    );
  }
}

/**
 * Signs by digest. A signature with a key is not put into the public log, which has all names.
 * @throws {SandboxError} `cosign-failed`, `aborted`; those of reading credentials
 */
export async function signArtifact(
  reference: Reference,
  digest: Digest,
  { key }: Signing,
  { registry: options, signal }: { readonly registry: RegistryOptions; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const named = referenceText({ ...reference, tag: undefined, digest });
  const insecure = options.tlsVerify === false ? ['--allow-insecure-registry', '--allow-http-registry'] : [];
  const ofKey = key === undefined ? [] : ['--key', key, '--tlog-upload=false'];
  const config = await mkdtemp(join(tmpdir(), 'virt-sandbox-cosign-'));
  try {
    await chmod(config, 0o700);
    await writeCredentials(reference, options, config, signal);
    await execa('cosign', ['sign', '--yes', ...ofKey, ...insecure, named], {
      env: { ...(options.environment ?? process.env), DOCKER_CONFIG: config },
      extendEnv: false,
      stdin: 'inherit',
      stdout: 'ignore',
      stderr: 'pipe',
      ...(signal === undefined ? {} : { cancelSignal: signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw abortedError(error);
    if (isSystemError(error) && !('stderr' in error)) throw error;
    throw imageError(
      'cosign-failed',
      `cosign does not sign ${named}: ${lastWords(error)}`,
      'set COSIGN_PASSWORD for a key with a password; nothing has the tag yet, so push again',
      error,
    );
  } finally {
    await rm(config, { recursive: true, force: true });
  }
}

/** cosign reads Docker's file alone, and a login may be elsewhere. */
async function writeCredentials(
  { registry, repository }: Reference,
  options: RegistryOptions,
  config: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { authFile, environment = process.env } = options;
  const found = await findCredentials(registry, repository, { authFile, environment, signal });
  if (found === undefined) return;
  const name = registry === DOCKER_HUB ? 'https://index.docker.io/v1/' : registry;
  await writeFile(join(config, 'config.json'), JSON.stringify({ auths: { [name]: authOf(found) } }), { mode: 0o600 });
}

/** As Docker's file has it. */
function authOf(found: Credentials): Record<string, string> {
  if (found.kind === 'identity') return { identitytoken: found.token };
  return { auth: Buffer.from(`${found.user}:${found.password}`).toString('base64') };
}

function lastWords(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const line = text.split('\n').findLast((one) => one.trim() !== '');
  return shown(line ?? (error instanceof Error ? error.message : String(error)));
}

/** How a registry is asked, as options of programs that pull and push. */
import { hostPath } from '../config/path.js';
import type { RegistryOptions } from '../oci/registry/options.js';
import type { SandboxError } from '../util/errors.js';
import { textOption as text } from './command-table.js';

export const registryOptions = {
  authfile: text("file with the registry's user and password [that of podman login, or of docker login]"),
  'tls-verify': text(
    'true or false, which takes any certificate, and plain HTTP [true; localhost may have plain HTTP]',
  ),
} as const;

/**
 * The values of those options.
 * @param usage makes the error of a wrong one
 * @throws {SandboxError} that of `usage`, and what a path throws
 */
export function parseRegistryOptions(
  textOf: (name: keyof typeof registryOptions) => string | undefined,
  usage: (message: string) => SandboxError,
): RegistryOptions {
  const file = textOf('authfile');
  const verify = textOf('tls-verify') ?? 'true';
  if (verify !== 'true' && verify !== 'false') throw usage(`--tls-verify=${verify} is neither true nor false`);
  return {
    authFile: file === undefined ? undefined : hostPath(file, '--authfile'),
    tlsVerify: verify !== 'false',
  };
}

/** Mirrors of registries: `HOST[:PORT][/PREFIX]`. */

import { imageError, quoted } from '../../oci-names/errors.js';
import { makeReference } from '../../oci-names/reference.js';
import { SandboxError } from '../../util/errors.js';

/**
 * Where a mirror has a repository: below its prefix, if it has one.
 * @throws {SandboxError} `mirror-invalid`
 */
export function parseMirror(mirror: string, repository: string): { registry: string; repository: string } {
  const [registry = '', ...prefix] = mirror.split('/');
  try {
    return makeReference(
      { registry, repository: [...prefix, repository].join('/'), tag: undefined, digest: undefined },
      mirror,
    );
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    throw imageError('mirror-invalid', `${quoted(mirror)} is no mirror`, 'write HOST[:PORT][/PREFIX]', error);
  }
}

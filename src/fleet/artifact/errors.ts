/** Errors of boot images in registries. */
import { imageError } from '../../oci-names/errors.js';
import type { SandboxError } from '../../util/errors.js';

/** @param why a sentence about `it` */
export function artifactInvalid(which: string, why: string, cause?: unknown): SandboxError {
  return imageError(
    'artifact-invalid',
    `${which} is no whole boot image: ${why}`,
    'have it pushed again with virt-sandbox-bake push',
    cause,
  );
}

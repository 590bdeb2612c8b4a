/** Refuses what a config may say and this version cannot do, instead of ignoring it. */
import { quote } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import { isUnitName } from '../../config/unit-name.js';
import { SandboxError } from '../../util/errors.js';

/**
 * @throws {SandboxError} `not-supported`, `unit-name-invalid`, `systemd-needs-root`
 */
export function refuseUnsupported({ service, root, identity, privileged, userNamespaces }: SandboxConfig): void {
  if (service?.type !== 'systemd') return;
  for (const unit of [service.bootTarget, ...service.units]) checkUnit(unit);
  if (root.type === 'image') {
    throw configError(
      'not-supported',
      'the systemd of an image cannot be run as a service, only that of a directory',
      'make the class of the file GVirSandboxConfigServiceGeneric, or give a directory as the root',
    );
  }
  if (identity.uid === 0 && privileged === true && !userNamespaces) return;
  throw configError(
    'systemd-needs-root',
    'systemd runs as root with all capabilities, and this sandbox has less',
    'give it --privileged; User= of a unit is who runs its programs',
  );
}

/** It becomes a word in a file that systemd reads. */
function checkUnit(unit: string): void {
  if (isUnitName(unit)) return;
  throw configError(
    'unit-name-invalid',
    `${quote(unit)} is no name of a unit`,
    'write its whole name, such as nginx.service or getty@tty1.service',
  );
}

function configError(code: string, message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'config', code, message, remedy });
}

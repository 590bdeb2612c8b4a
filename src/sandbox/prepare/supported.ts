/** Refuses what a config may say and this version cannot do, instead of ignoring it. */
import { quote } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import { isUnitName } from '../../config/unit-name.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';

/**
 * @throws {SandboxError} `unit-name-invalid`, `systemd-needs-root`, `graphics-with-systemd`, `sound-with-systemd`
 */
export function refuseUnsupported(config: SandboxConfig): void {
  const { service, root, identity, privileged, userNamespaces, graphics, sound } = config;
  if (service?.type !== 'systemd') return;
  if (graphics !== undefined)
    throw configError(
      'graphics-with-systemd',
      'the screen belongs to one application, and this sandbox runs systemd',
      `leave out ${option('graphics')}`,
    );
  if (sound)
    throw configError(
      'sound-with-systemd',
      'the sound card belongs to one application, and this sandbox runs systemd',
      `leave out ${option('sound')}`,
    );
  for (const unit of [service.bootTarget, ...service.units]) checkUnit(unit);
  // The user of an image is known later, and privileged it is root.
  if ((identity.uid === 0 || root.type === 'image') && privileged === true && !userNamespaces) return;
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

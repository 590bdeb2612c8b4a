/** Refuses what a config may say and this version cannot do, instead of ignoring it. */
import type { SandboxConfig } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';

/**
 * @throws {SandboxError} `not-supported`
 */
export function refuseUnsupported(config: SandboxConfig): void {
  if (config.service?.type !== 'systemd') return;
  throw new SandboxError({
    stage: 'config',
    code: 'not-supported',
    message: 'this is a service that systemd runs, and this version runs commands alone',
    remedy: 'leave [service] out of the file, and make its class GVirSandboxConfigServiceGeneric',
  });
}

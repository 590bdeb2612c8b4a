/** What the sandboxes of a pool are started with: one config for all of them. */
import { configError, quote } from '../../config/errors.js';
import { withHomeMount } from '../../config/home.js';
import type { SandboxConfig } from '../../config/types.js';
import { refusePorts, refuseWriters } from './errors.js';

/**
 * The config of each sandbox. They wait without a command, whatever a file has.
 * @throws {SandboxError} `pool-with-name`, `pool-with-writable-disk`, `pool-with-kept-overlay`, `pool-with-ports`,
 *   `pool-of-services`
 */
export function templateConfig(config: SandboxConfig): SandboxConfig {
  checkTemplate(config);
  return { ...withHomeMount(config), command: [] };
}

/**
 * What is known before an image is pulled for it.
 * @throws {SandboxError} as {@link templateConfig}
 */
export function checkTemplate(config: SandboxConfig): void {
  refuseService(config);
  refuseIdentity(config);
  refuseWriters(config);
  refusePorts(config);
}

/** What waits has no command, and a service is one. */
function refuseService({ service }: SandboxConfig): void {
  if (service === undefined) return;
  throw configError(
    'pool-of-services',
    'the sandboxes of a pool cannot be services',
    'make the class of the file GVirSandboxConfigInteractive',
  );
}

/** A second sandbox of that name, or UUID, could not be started. */
function refuseIdentity({ name, uuid }: SandboxConfig): void {
  const given = name === undefined ? uuid : name;
  if (given === undefined) return;
  throw configError(
    'pool-with-name',
    `the sandboxes of a pool cannot all have the ${name === undefined ? 'UUID' : 'name'} ${quote(given)}`,
    'leave it out, also of the file of --config',
  );
}

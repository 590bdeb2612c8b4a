/** Makes services. */
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { quote } from '../../config/errors.js';
import { checkHost } from '../../config/host-check.js';
import type { SandboxConfig } from '../../config/types.js';
import { kindOf } from '../../libvirt/connect.js';
import { makeOverlayImage } from '../../sandbox/devices/overlay-image.js';
import { checkOverlay } from '../../sandbox/prepare/overlay-check.js';
import { refuseUnsupported } from '../../sandbox/prepare/supported.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, type SandboxError } from '../../util/errors.js';
import { abortedError, serviceError } from '../errors.js';
import { saveService } from '../file.js';
import type { ServiceRoots } from '../paths.js';
import { type LockOptions, withServiceLock } from '../store/lock.js';
import type { MadeRecord } from '../store/made.js';
import { makeService } from '../store/staging.js';
import type { Service } from '../types.js';
import type { Wanted } from './describe.js';

/**
 * Makes a service: its file, and where its state is kept. It is not started. If anything fails, nothing is left.
 * @throws {SandboxError} `service-exists`, `service-state-exists`, `service-not-writable`, `not-supported`, and what
 *   `checkHost`, `checkOverlay` and `makeOverlayImage` throw
 */
export async function createService(
  roots: ServiceRoots,
  name: string,
  wanted: Wanted,
  options: LockOptions = {},
): Promise<Service> {
  const { config, settings } = wanted;
  refuseUnsupported(config);
  await checkHost(config);
  return withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      const paths = await makeService(roots, name, async (staged) => {
        await makeState(roots, wanted, staged.made);
        await saveService({ paths: staged.paths, config, settings });
        if (options.signal?.aborted) throw abortedError(name);
      });
      return { name, paths, config, settings };
    },
    options,
  );
}

/** Makes the directory, or the image, in which the state is to be. */
async function makeState(
  roots: ServiceRoots,
  { config, settings, imageBytes }: Wanted,
  made: MadeRecord,
): Promise<void> {
  const { overlay } = config;
  if (overlay === undefined || overlay.type === 'memory') return;
  makeParent(roots, overlay.path);
  if (lstatSync(overlay.path, { throwIfNoEntry: false }) !== undefined) throw stateExists(overlay.path);
  checkOverlay(config, settings.connect === undefined ? 'embedded' : kindOf(settings.connect));
  try {
    if (overlay.type === 'directory') await made.directory(overlay.path);
    else await made.file(overlay.path, (path) => makeOverlayImage(withOverlay(config, path), imageBytes));
  } catch (error) {
    throw isSystemError(error, 'EEXIST') ? stateExists(overlay.path, error) : error;
  }
}

function stateExists(path: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-state-exists',
    `${quote(path)} is there already, and the state of the service was to be kept there`,
    'remove it if nothing needs it, or choose another directory with --path',
    cause,
  );
}

function withOverlay(config: SandboxConfig, path: string): SandboxConfig {
  return { ...config, overlay: { type: 'image', path } };
}

/** Those that every host has are made as libvirt makes them. A directory of the user's own choice has to be there. */
function makeParent(roots: ServiceRoots, path: string): void {
  const parent = dirname(path);
  if (parent !== roots.directories && parent !== roots.images) return;
  try {
    makeDirectories(parent, 0o711);
  } catch (error) {
    throw serviceError(
      'service-not-writable',
      `the directory ${quote(parent)} for states of services cannot be made: ${messageOf(error)}`,
      'name another one with --path',
      error,
    );
  }
}

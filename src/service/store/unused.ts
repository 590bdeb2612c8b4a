/** The state of a service that does not run: a sandbox of somebody else may have it in use all the same. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { quote } from '../../config/errors.js';
import { lockOpenFile } from '../../oci/lock.js';
import type { KeptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { endLeftSandboxes, refuseContainers, refuseUsedOverlay } from '../../sandbox/devices/overlay-server.js';
import { SandboxError } from '../../util/errors.js';
import { serviceError } from '../errors.js';

export function stateInUse(service: string, path: string): SandboxError {
  return serviceError(
    'service-state-in-use',
    `something else than the service ${quote(service)} has its state in ${quote(path)} in use`,
    'end the sandbox that has it as its overlay; virt-sandbox-ctl ps shows those that run',
  );
}

/** @throws {SandboxError} `service-state-in-use` */
export function refuseUsed(service: string, kept: KeptOverlay): void {
  try {
    refuseUsedOverlay(kept);
  } catch (error) {
    throw asState(service, kept.directory, error);
  }
}

/**
 * Refuses a directory that a container has, and ends what one has left whose holder was killed. What bounds its state need
 * not be mounted.
 * @throws {SandboxError} `service-state-in-use`
 */
export async function refuseUsedByContainers(service: string, directory: string): Promise<void> {
  try {
    await endLeftSandboxes(directory);
    refuseContainers(directory);
  } catch (error) {
    throw asState(service, directory, error);
  }
}

function asState(service: string, directory: string, error: unknown): unknown {
  const isUsed = error instanceof SandboxError && error.code === 'overlay-in-use';
  return isUsed ? stateInUse(service, directory) : error;
}

/**
 * Runs `act` while no machine can take the layers: share-server takes the same lock.
 * @throws {SandboxError} `service-state-in-use`, and what `act` throws
 */
export async function whileUnused<T>(service: string, kept: KeptOverlay, act: () => Promise<T>): Promise<T> {
  await refuseUsedByContainers(service, kept.directory);
  if (kept.kind !== 'machine') return act();
  refuseUsed(service, kept);
  const layers = await open(kept.layers, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    await lockOpenFile(layers, 'exclusive', {
      onWait: () => {
        throw stateInUse(service, kept.directory);
      },
    });
    return await act();
  } finally {
    await layers.close();
  }
}

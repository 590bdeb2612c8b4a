/** The state of a service that does not run: a sandbox of somebody else may have it in use all the same. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { quote } from '../../config/errors.js';
import { lockOpenFile } from '../../oci/lock.js';
import type { KeptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { endLeftSandboxes, refuseContainers, refuseUsedOverlay } from '../../sandbox/devices/overlay-server.js';
import { SandboxError } from '../../util/errors.js';
import { orAborted, serviceError } from '../errors.js';

export function stateInUse(service: string, path: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-state-in-use',
    `something else than the service ${quote(service)} has its state in ${quote(path)} in use`,
    'end the sandbox that has it as its overlay; virt-sandbox-ctl ps shows those that run',
    cause,
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
 * Ends what containers with that directory have left whose holders were killed, and refuses it if a container that
 * lives has it. What bounds its state need not be mounted.
 * @throws {SandboxError} `service-state-in-use`, `service-state-left`, `aborted`
 */
export async function endLeftAndRefuseContainers(
  service: string,
  directory: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await endLeftSandboxes(directory, signal);
    refuseContainers(directory);
  } catch (error) {
    throw orAborted(asState(service, directory, error), service, signal);
  }
}

function asState(service: string, directory: string, error: unknown): unknown {
  if (!(error instanceof SandboxError)) return error;
  if (error.code === 'overlay-in-use') return stateInUse(service, directory, error);
  if (error.code !== 'overlay-left') return error;
  return serviceError(
    'service-state-left',
    `the service ${quote(service)} cannot have its state: ${error.message}`,
    error.remedy,
    error,
  );
}

/**
 * Runs `act` while no machine can take the layers: share-server takes the same lock.
 * @throws {SandboxError} `service-state-in-use`, `service-state-left`, `aborted`, and what `act` throws
 */
export async function whileUnused<T>(
  service: string,
  kept: KeptOverlay,
  signal: AbortSignal | undefined,
  act: () => Promise<T>,
): Promise<T> {
  await endLeftAndRefuseContainers(service, kept.directory, signal);
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

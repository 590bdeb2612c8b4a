/** Removes services. */
import { type ServiceRoots, servicePaths } from './paths.js';
import { removeLife } from './run/record.js';
import { type LockOptions, withServiceLock } from './store/lock.js';
import { removeService } from './store/staging.js';

/**
 * Removes a service with its state. One that runs is stopped before.
 * @param stop stops it if it runs; nobody can start it meanwhile
 * @returns paths that are kept: something that was not made for it is there
 * @throws {SandboxError} `service-not-found`, `service-not-removable`, and what `stop` throws
 */
export async function deleteService(
  roots: ServiceRoots,
  name: string,
  stop: () => Promise<void>,
  options: LockOptions = {},
): Promise<string[]> {
  return withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      await stop();
      await removeLife(servicePaths(roots, name).life);
      return removeService(roots, name);
    },
    options,
  );
}

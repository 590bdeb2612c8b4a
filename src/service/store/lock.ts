/** One change of a service at a time. */
import { lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockFile } from '../../oci/lock.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { checkServiceName } from '../names.js';
import { type ServiceRoots, servicePaths } from '../paths.js';

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called when another process has the lock. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Runs `work` while no other process changes the service of that name, which need not exist. The lock ends with this
 * process, however that ends.
 * @param kind `shared`: for what only needs that nobody changes it, as a start
 * @throws {SandboxError} `service-name-invalid`, `service-directory-unusable`, `aborted`, and what `work` throws
 */
export async function withServiceLock<T>(
  roots: ServiceRoots,
  name: string,
  kind: 'shared' | 'exclusive',
  work: () => Promise<T>,
  { signal, onWait }: LockOptions = {},
): Promise<T> {
  checkServiceName(name);
  const lock = await open(roots, name, async (path) => {
    let told = false;
    for (;;) {
      const file = await lockFile(path, kind, {
        signal,
        onWait: () => {
          if (!told) onWait?.();
          told = true;
        },
      });
      if (file !== undefined) return file;
    }
  });
  try {
    return await work();
  } finally {
    // Whoever waits for it sees that it is gone, and makes another one.
    if (kind === 'exclusive' && !isThere(roots, name)) rmSync(lockPath(roots, name), { force: true });
    await lock.close();
  }
}

function isThere(roots: ServiceRoots, name: string): boolean {
  return lstatSync(servicePaths(roots, name).directory, { throwIfNoEntry: false }) !== undefined;
}

/** Takes the lock, makes the directory of services first. */
async function open<T>(roots: ServiceRoots, name: string, take: (path: string) => Promise<T>): Promise<T> {
  try {
    makeDirectories(roots.services, 0o755);
    return await take(lockPath(roots, name));
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw serviceError(
      'service-directory-unusable',
      `services cannot be kept in ${JSON.stringify(roots.services)}: ${messageOf(error)}`,
      roots.scope === 'system' ? 'mount /etc to be written to' : 'look who may write there',
      error,
    );
  }
}

/** Names of services have no dot in front. */
export function lockPath(roots: ServiceRoots, name: string): string {
  return join(roots.services, `.${name}.lock`);
}

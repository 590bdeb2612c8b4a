/** One change of a service at a time. */
import { lstatSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { type LockKind, lockFile } from '../../oci/lock.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, type SandboxError } from '../../util/errors.js';
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
  kind: LockKind,
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
  let done: T;
  try {
    done = await work();
  } catch (error) {
    // What is told is what became of the work.
    await release(roots, name, kind, lock).catch(() => undefined);
    throw error;
  }
  await release(roots, name, kind, lock);
  return done;
}

async function release(roots: ServiceRoots, name: string, kind: LockKind, lock: FileHandle): Promise<void> {
  try {
    // Whoever waits for it sees that it is gone, and makes another one.
    if (kind === 'exclusive' && !isThere(roots, name)) rmSync(lockPath(roots, name), { force: true });
  } catch (error) {
    throw unusable(roots, error);
  } finally {
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
    throw isSystemError(error) ? unusable(roots, error) : error;
  }
}

function unusable(roots: ServiceRoots, error: unknown): SandboxError {
  return serviceError(
    'service-directory-unusable',
    `services cannot be kept in ${JSON.stringify(roots.services)}: ${messageOf(error)}`,
    roots.scope === 'system' ? 'mount /etc to be written to' : 'look who may write there',
    error,
  );
}

/** Names of services have no dot in front. */
export function lockPath(roots: ServiceRoots, name: string): string {
  return join(roots.services, `.${name}.lock`);
}

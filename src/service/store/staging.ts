/**
 * How a service comes to be, and goes. Its directory is made as `.NAME.new`, and renamed when all is there; to be removed
 * it is renamed to `.NAME.old` first. So a service is there as a whole or not at all, and whoever comes after a process
 * that was killed removes what that has left. All of it needs the lock of the name.
 */
import { existsSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { isFull, serviceError, serviceNotFound } from '../errors.js';
import { type ServicePaths, type ServiceRoots, servicePaths } from '../paths.js';
import { MadeRecord, readMade, removeMade } from './made.js';

type Ending = 'new' | 'old';

/** A service that is being made. */
export interface Staged {
  /** Its files, while it is being made. */
  readonly paths: ServicePaths;
  readonly made: MadeRecord;
}

/**
 * Makes a service. `fill` makes what belongs to it; if that fails, nothing is left.
 * @returns its files
 * @throws {SandboxError} `service-exists`, `service-not-writable`, and what `fill` throws
 */
export async function makeService(
  roots: ServiceRoots,
  name: string,
  fill: (staged: Staged) => Promise<void>,
): Promise<ServicePaths> {
  const paths = servicePaths(roots, name);
  refuseExisting(roots, name);
  removeLeftovers(roots, name);
  const directory = staging(roots, name, 'new');
  try {
    await mkdir(directory, { mode: 0o700 });
    const config = join(directory, 'config');
    await mkdir(config, { mode: 0o700 });
    const made = new MadeRecord(directory);
    await fill({ paths: { directory, config, file: join(config, 'sandbox.cfg'), life: paths.life }, made });
    await flush(directory);
    refuseExisting(roots, name);
    renameSync(directory, paths.directory);
    await flush(roots.services);
  } catch (error) {
    try {
      removeLeftovers(roots, name);
    } catch {
      // The next call for the name does it.
    }
    throw notWritable(name, error);
  }
  return paths;
}

/**
 * Removes a service with all that was made for it.
 * @returns paths that are kept, since something else is there by now
 * @throws {SandboxError} `service-not-found`, `service-not-removable`
 */
export function removeService(roots: ServiceRoots, name: string): string[] {
  const { directory } = servicePaths(roots, name);
  const wasUnfinished = ENDINGS.some((ending) => existsSync(staging(roots, name, ending)));
  const left = removeLeftovers(roots, name);
  try {
    if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) {
      // What a process that was killed has begun is done now.
      if (wasUnfinished) return left;
      throw serviceNotFound(name);
    }
    renameSync(directory, staging(roots, name, 'old'));
    return [...left, ...removeLeftovers(roots, name)];
  } catch (error) {
    throw notRemovable(name, error);
  }
}

/**
 * Removes what processes that were killed have left of that name.
 * @returns as {@link removeService}
 * @throws {SandboxError} `service-not-removable`
 */
function removeLeftovers(roots: ServiceRoots, name: string): string[] {
  try {
    return ENDINGS.flatMap((ending) => {
      const directory = staging(roots, name, ending);
      if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return [];
      const left = removeMade(readMade(directory));
      // A program that a killed process has started may still write there.
      rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      return left;
    });
  } catch (error) {
    throw notRemovable(name, error);
  }
}

/** The entries of the directory of services; none if it is not there. */
export function namesIn({ services }: ServiceRoots): string[] {
  try {
    return readdirSync(services);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw serviceError(
      'service-directory-unusable',
      `the services in ${quote(services)} cannot be listed: ${messageOf(error)}`,
      'look who may read it',
      error,
    );
  }
}

const ENDINGS: readonly Ending[] = ['new', 'old'];

function staging(roots: ServiceRoots, name: string, ending: Ending): string {
  return join(roots.services, `.${name}.${ending}`);
}

/** @throws {SandboxError} `service-exists` */
export function refuseExisting(roots: ServiceRoots, name: string): void {
  const { directory } = servicePaths(roots, name);
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return;
  throw serviceError(
    'service-exists',
    `there is a service ${quote(name)}`,
    `choose another name, or remove it first: virt-sandbox-service delete ${name}`,
  );
}

/** What was written is on the disk. */
async function flush(directory: string): Promise<void> {
  const file = await open(directory, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function notWritable(name: string, error: unknown): SandboxError | unknown {
  if (!isSystemError(error)) return error;
  const remedy = isFull(error) ? 'make room there' : 'look who may write there';
  return serviceError(
    'service-not-writable',
    `the service ${quote(name)} cannot be made: ${error.message}`,
    remedy,
    error,
  );
}

function notRemovable(name: string, error: unknown): SandboxError | unknown {
  if (error instanceof SandboxError && error.code === 'service-bound-busy')
    return serviceError(
      'service-not-removable',
      `not all of the service ${quote(name)} could be removed: ${error.message}`,
      `${error.remedy}, and call virt-sandbox-service delete ${name} again`,
      error,
    );
  if (!isSystemError(error)) return error;
  return serviceError(
    'service-not-removable',
    `not all of the service ${quote(name)} could be removed: ${error.message}`,
    `remove the cause, and call virt-sandbox-service delete ${name} again`,
    error,
  );
}

/** Where the state of a service is kept: the directory above it, and that nothing is there yet. */
import { dirname } from 'node:path';
import { quote } from '../../config/errors.js';
import { makeDirectories } from '../../util/directories.js';
import { messageOf, type SandboxError } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import type { ServiceRoots } from '../paths.js';

/**
 * Those that every host has are made as libvirt makes them. A directory of the user's own choice has to be there.
 * @throws {SandboxError} `service-not-writable`
 */
export function makeStateParent(roots: ServiceRoots, path: string): void {
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

/** @param cause EEXIST */
export function stateExists(path: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-state-exists',
    `${quote(path)} is there already, and the state of the service was to be kept there`,
    'remove it if nothing needs it, or choose another directory with --path',
    cause,
  );
}

/** The same work for several services, one after the other: the first failure decides the exit status. */
import { lstatSync } from 'node:fs';
import { serviceNotFound } from '../../service/errors.js';
import { type ServicePaths, servicePaths, serviceRoots } from '../../service/paths.js';
import { findHolder } from '../../service/run/claim.js';
import { valueOr } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { PROGRAM } from './arguments.js';

/** @param work returns an exit status */
export async function forEachService(
  names: readonly string[],
  work: (name: string) => Promise<number>,
): Promise<number> {
  let status = 0;
  for (const name of new Set(names)) {
    const failed = await work(name).catch((error: unknown) => tellFailure(PROGRAM, error));
    if (status === 0) status = failed;
  }
  return status;
}

/**
 * The files of a service that is there, or that a process holds still. What its sandbox.cfg says is not looked at: it may
 * be wrong.
 * @throws {SandboxError} `service-not-found`, `service-name-invalid`
 */
export function pathsOfService(name: string): ServicePaths {
  const paths = servicePaths(serviceRoots(), name);
  if (valueOr(() => lstatSync(paths.file), undefined) === undefined && findHolder(name) === undefined)
    throw serviceNotFound(name);
  return paths;
}

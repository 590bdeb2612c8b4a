/** The services that a command is for: several are worked on one after the other, and the first failure counts. */
import { lstatSync } from 'node:fs';
import type { Expected } from '../../service/connection.js';
import { serviceNotFound } from '../../service/errors.js';
import { type ServicePaths, servicePaths, serviceRoots } from '../../service/paths.js';
import { findHolder } from '../../service/run/claim.js';
import { valueOr } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { PROGRAM, type ServiceArguments, textOf } from './arguments.js';

/**
 * Each is what `--connect` says.
 * @param work returns an exit status
 */
export async function forEachService(
  args: ServiceArguments,
  work: (name: string) => Promise<number>,
  names: readonly string[] = args.words,
): Promise<number> {
  let status = 0;
  for (const name of new Set(names)) {
    const working = checkName(name, expectationOf(args)).then(() => work(name));
    const failed = await working.catch((error: unknown) => tellFailure(PROGRAM, error));
    if (status === 0) status = failed;
  }
  return status;
}

/**
 * The service that is named first, which is what `--connect` says.
 * @throws {SandboxError} as {@link checkName}
 */
export async function nameOf(args: ServiceArguments): Promise<string> {
  const [name = ''] = args.words;
  await checkName(name, expectationOf(args));
  return name;
}

function expectationOf(args: ServiceArguments): Expected {
  return { connect: textOf(args, 'connect') };
}

/** @throws {SandboxError} `service-of-other-uri`, `service-of-other-path` */
export async function checkName(name: string, expected: Expected): Promise<void> {
  if (expected.connect === undefined && expected.path === undefined) return;
  const { checkExpected } = await import('../../service/connection.js');
  await checkExpected(serviceRoots(), name, expected);
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

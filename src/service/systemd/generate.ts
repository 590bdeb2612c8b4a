/**
 * Makes the units of all services of a user, as a generator of systemd does: systemd.generator(7). It needs files, and
 * nothing that runs.
 */
import { readdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf } from '../../util/errors.js';
import { fileProblem, readRegular } from '../../util/regular-files.js';
import { parseService } from '../file.js';
import { checkServiceName } from '../names.js';
import { type ServiceRoots, servicePaths } from '../paths.js';
import type { Service } from '../types.js';
import { formatSessionUnit, mayUseSession, SESSION_UNIT } from './session-daemon.js';
import { formatUnit, hostUnitName, wantedBy } from './unit.js';

/** Bytes. Those of services are a hundredth of it. */
const LARGEST_FILE = 1_048_576;

/** What of the host the units depend on. */
export interface GeneratorHost {
  readonly roots: ServiceRoots;
  /** Absolute path of virt-sandbox-service. */
  readonly program: string;
}

/** A unit that was made. */
export interface GeneratedUnit {
  readonly name: string;
  readonly text: string;
  /** The target that starts it. */
  readonly target: string | undefined;
}

/**
 * The units of all services there are, and the one that some of them want. What is no service, or a broken one, is left out.
 * @param report called with a sentence for each that is left out
 */
export async function generateUnits(
  { roots, program }: GeneratorHost,
  report: (message: string) => void,
): Promise<readonly GeneratedUnit[]> {
  const units: GeneratedUnit[] = [];
  let isSession = false;
  for (const name of await entries(roots.services, report)) {
    try {
      const service = await readService(roots, name);
      units.push({
        name: hostUnitName(name),
        text: formatUnit(service, { program, scope: roots.scope }),
        target: service.settings.autostart ? wantedBy(roots.scope) : undefined,
      });
      isSession ||= mayUseSession(service.settings.connect, roots.scope);
    } catch (error) {
      report(`${quote(join(roots.services, name))} gets no unit: ${messageOf(error)}`);
    }
  }
  const session = { name: SESSION_UNIT, text: formatSessionUnit(program), target: undefined };
  return isSession ? [...units, session] : units;
}

/**
 * Writes units into the directory of a generator, each with the links that have it started.
 * @param report called with a sentence for each that cannot be written
 */
export async function writeUnits(
  directory: string,
  units: readonly GeneratedUnit[],
  report: (message: string) => void,
): Promise<void> {
  for (const { name, text, target } of units) {
    try {
      await writeFile(join(directory, name), text, { flag: 'wx' });
      if (target === undefined) continue;
      const wants = join(directory, `${target}.wants`);
      makeDirectories(wants);
      await symlink(`../${name}`, join(wants, name));
    } catch (error) {
      report(`the unit ${quote(name)} cannot be written to ${quote(directory)}: ${messageOf(error)}`);
    }
  }
}

/** Without what is being made or removed, whose name begins with a dot. */
async function entries(directory: string, report: (message: string) => void): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) report(`the services cannot be listed: ${messageOf(error)}`);
    return [];
  }
}

/**
 * Reads the file of a service. Links may lead to it; a FIFO does not keep the boot waiting.
 * @throws {Error} its message is a part of a sentence
 */
async function readService(roots: ServiceRoots, name: string): Promise<Service> {
  checkServiceName(name);
  const paths = servicePaths(roots, name);
  const text = await readFile(paths.file);
  return { name, paths, ...(await parseService(text, paths.file)) };
}

async function readFile(path: string): Promise<string> {
  try {
    return readRegular(await realpath(path), LARGEST_FILE);
  } catch (error) {
    const problem = fileProblem(error);
    throw problem === undefined ? error : new Error(`its config/sandbox.cfg ${problem}`, { cause: error });
  }
}

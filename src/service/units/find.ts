/** Finds the units of a root that a service is to run: systemd.unit(5) */
import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { UNIT_DIRECTORIES } from '../../../init/common/systemd-scripts.js';
import { quote } from '../../config/errors.js';
import { isUnitName, UNIT_TYPES } from '../../config/unit-name.js';
import type { LookUp } from '../../oci/erofs/look-up.js';
import { serviceError } from '../errors.js';

/** Links that lead to a unit, at most. */
const MOST_LINKS = 8;

/** The files of a root, without links on the way to them. */
export interface RootFiles {
  /** What errors call the root; undefined: the host's. */
  readonly name: string | undefined;
  /** Undefined: there is none. */
  look(path: string): RootFile | undefined;
}

interface RootFile {
  readonly isFile: boolean;
  readonly size: number;
  /** Of a link: where it leads. */
  readonly target: string | undefined;
}

/** A unit of a root. */
export interface FoundUnit {
  /** Of the instance, where its file is a template: `foo@web.service`. */
  readonly name: string;
  /** Its file in the root. */
  readonly path: string;
}

/**
 * The unit that a word means: `.service` is added when it has no type, and `NAME@` gets the service as its instance.
 * @param files those of the root
 * @param service the name of the service
 * @throws {SandboxError} `unit-name-invalid`, `unit-not-found`, `unit-masked`
 */
export function findUnit(files: RootFiles, word: string, service: string): FoundUnit {
  const name = unitName(word, service);
  const file = name.replace(/@.+(\.[a-z]+)$/, '@$1');
  // An instance may have a file of its own.
  for (const directory of UNIT_DIRECTORIES)
    for (const entry of new Set([name, file])) {
      const path = join(directory, entry);
      const found = lookAt(files, path);
      if (found === undefined) continue;
      if (found === 'masked') throw masked(name, path);
      return { name, path };
    }
  throw serviceError(
    'unit-not-found',
    `there is no unit ${quote(name)}${files.name === undefined ? '' : ` in ${quote(files.name)}`}`,
    `install the package that has it; systemctl list-unit-files shows which there are`,
  );
}

/** The name of the unit that a word means, as {@link findUnit}. */
export function unitName(word: string, service: string): string {
  const typed = UNIT_TYPES.some((type) => word.endsWith(`.${type}`)) ? word : `${word}.service`;
  const name = typed.replace(/@\./, `@${escaped(service)}.`);
  if (isUnitName(name)) return name;
  throw serviceError('unit-name-invalid', `${quote(word)} cannot be a unit`, 'name one, as nginx.service');
}

/** As systemd-escape(1) does it: a hyphen would be read as a slash. */
function escaped(service: string): string {
  return service.replaceAll('-', '\\x2d');
}

/** The files of a directory that is the root. */
export function filesOfDirectory(root: string): RootFiles {
  return {
    name: root === '/' ? undefined : root,
    look: (path) => {
      const there = join(root, path);
      const found = lstatSync(there, { throwIfNoEntry: false });
      if (found === undefined) return undefined;
      const target = found.isSymbolicLink() ? readlinkSync(there) : undefined;
      return { isFile: found.isFile(), size: found.size, target };
    },
  };
}

/** The files of an image. @param name what errors call it */
export function filesOfImage(lookUp: LookUp, name: string): RootFiles {
  return {
    name,
    look: (path) => {
      const found = lookUp(path);
      return found && { isFile: found.kind === 'file', size: found.size, target: found.target };
    },
  };
}

/** A link to /dev/null masks a unit. Other links are followed in the root: those of systemd's are absolute. */
function lookAt(files: RootFiles, path: string): 'found' | 'masked' | undefined {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links += 1) {
    if (at === '/dev/null') return 'masked';
    const found = files.look(at);
    if (found === undefined) return undefined;
    if (found.target === undefined) {
      if (!found.isFile) return undefined;
      return found.size === 0 ? 'masked' : 'found';
    }
    at = found.target.startsWith('/') ? found.target : join(at, '..', found.target);
  }
  return undefined;
}

function masked(name: string, path: string) {
  return serviceError(
    'unit-masked',
    `the unit ${quote(name)} is masked by ${quote(path)}`,
    `unmask it, if it is to run: systemctl unmask ${name}`,
  );
}

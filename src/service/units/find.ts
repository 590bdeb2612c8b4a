/** Finds the units of a root that a service is to run: systemd.unit(5) */
import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { UNIT_DIRECTORIES } from '../../../init/common/systemd-scripts.js';
import { quote } from '../../config/errors.js';
import { isUnitName, UNIT_TYPES } from '../../config/unit-name.js';
import { valueOr } from '../../util/errors.js';
import { serviceError } from '../errors.js';

/** A unit of a root. */
export interface FoundUnit {
  /** Of the instance, where its file is a template: `foo@web.service`. */
  readonly name: string;
  /** Its file in the root. */
  readonly path: string;
}

/**
 * The unit that a word means: `.service` is added when it has no type, and `NAME@` gets the service as its instance.
 * @param root the directory that is the root
 * @param service the name of the service
 * @throws {SandboxError} `unit-name-invalid`, `unit-not-found`, `unit-masked`
 */
export function findUnit(root: string, word: string, service: string): FoundUnit {
  const name = unitName(word, service);
  const file = name.replace(/@.+(\.[a-z]+)$/, '@$1');
  // An instance may have a file of its own.
  for (const directory of UNIT_DIRECTORIES)
    for (const entry of new Set([name, file])) {
      const path = join(directory, entry);
      const found = lookAt(root, path);
      if (found === undefined) continue;
      if (found === 'masked') throw masked(name, path);
      return { name, path };
    }
  throw serviceError(
    'unit-not-found',
    `there is no unit ${quote(name)}${root === '/' ? '' : ` in ${quote(root)}`}`,
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

/** A link to /dev/null masks a unit. Other links are followed in the root. */
function lookAt(root: string, path: string): 'found' | 'masked' | undefined {
  const found = resolved(root, path);
  if (found === undefined) return undefined;
  if (found === 'null' || found.size === 0) return 'masked';
  return found.isFile() ? 'found' : undefined;
}

/** Links of systemd's are absolute: to the root, and not to this host. */
function resolved(root: string, path: string): Stats | 'null' | undefined {
  let at = path;
  for (let links = 0; links < 8; links += 1) {
    if (at === '/dev/null') return 'null';
    const there = join(root, at);
    const found = lstatSync(there, { throwIfNoEntry: false });
    if (!found?.isSymbolicLink()) return found ?? valueOr(() => statSync(there), undefined);
    const target = readlinkSync(there);
    at = target.startsWith('/') ? target : join(at, '..', target);
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

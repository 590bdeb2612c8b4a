/**
 * modules.order: all modules that a kernel was built with, one path per line, without a compression's ending. depmod
 * writes modules.dep in this order.
 */

import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../util/errors.js';
import { moduleFileName, moduleNameOf } from './names.js';

/**
 * Checks that modules.dep is complete: it must list the last module of modules.order that is installed. If not,
 * modules.dep was cut off or never written. Modules that are not installed are skipped, since a distribution may ship
 * modules.order in one package and the modules in several.
 *
 * @param order Content of modules.order.
 * @param listed The modules of modules.dep, by name.
 * @returns the path of that module in the tree if modules.dep lacks it; undefined if modules.dep is complete.
 */
export async function lastUnlisted(
  directory: string,
  order: string,
  listed: ReadonlyMap<string, unknown>,
): Promise<string | undefined> {
  const contents = new Map<string, Map<string, string>>();
  for (const path of linesFromTheEnd(order)) {
    if (listed.has(moduleNameOf(path))) return undefined;
    const folder = dirname(path);
    const files = contents.get(folder) ?? (await modulesIn(join(directory, folder)));
    contents.set(folder, files);
    const file = files.get(basename(path));
    if (file !== undefined) return join(folder, file);
  }
  return undefined;
}

/** Lines of `text`, last first. A generator, since the first one is nearly always enough. */
function* linesFromTheEnd(text: string): Generator<string> {
  for (let end = text.length; end > 0; ) {
    const start = text.lastIndexOf('\n', end - 1) + 1;
    const line = text.slice(start, end).trim();
    if (line !== '') yield line;
    end = start - 1;
  }
}

/** File names in a folder, by their names without a compression's ending. */
async function modulesIn(folder: string): Promise<Map<string, string>> {
  try {
    return new Map((await readdir(folder)).map((name) => [moduleFileName(name), name]));
  } catch (error) {
    if (isSystemError(error)) return new Map();
    throw error;
  }
}

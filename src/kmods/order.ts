/**
 * modules.order: what a kernel was built with, one path a line, without a compression's ending. depmod writes modules.dep in this order.
 */

import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../util/errors.js';
import { moduleFileName, moduleNameOf } from './names.js';

/**
 * The last module of modules.order that is there, when modules.dep does not have it: then that ends too early, as a file does that was cut
 * off or never written. Which modules are there must be looked up, since a distribution may have the list of all in one package, and the
 * modules in several.
 *
 * @param order What modules.order says.
 * @param listed The modules of modules.dep, by their names.
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

/** Nearly always the first one that is asked for is enough. */
function* linesFromTheEnd(text: string): Generator<string> {
  for (let end = text.length; end > 0; ) {
    const start = text.lastIndexOf('\n', end - 1) + 1;
    const line = text.slice(start, end).trim();
    if (line !== '') yield line;
    end = start - 1;
  }
}

/** The files of a folder by their names without a compression's ending. */
async function modulesIn(folder: string): Promise<Map<string, string>> {
  try {
    return new Map((await readdir(folder)).map((name) => [moduleFileName(name), name]));
  } catch (error) {
    if (isSystemError(error)) return new Map();
    throw error;
  }
}

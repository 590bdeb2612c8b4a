/** Replacing a file as a whole. */
import { randomBytes } from 'node:crypto';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { withPath } from './errors.js';

export interface ReplaceOptions {
  readonly mode?: number;
  readonly flush?: boolean;
  readonly isOnlyWriter?: boolean;
}

/**
 * Writes a file under a name that nobody can foresee, and then gives it its own. Whoever reads it finds the old content
 * or the new.
 * @param options `mode` of a new file; `flush`: it is on the disk before it has its name; `isOnlyWriter`: nobody else
 *   replaces it meanwhile, so what killed processes have left goes
 * @throws the error of a system call; then nothing is left
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { isOnlyWriter = false, ...options }: ReplaceOptions = {},
): Promise<void> {
  if (isOnlyWriter) await removeFresh(path);
  const fresh = join(dirname(path), `${freshPrefix(path)}${randomBytes(8).toString('hex')}.tmp`);
  try {
    await writeFile(fresh, content, { ...options, flag: 'wx' });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw withPath(error, path);
  }
}

/** Whether {@link replaceFile} has written a file of this name to be `path`. Its process was killed if it stays so. */
export function isFresh(name: string, path: string): boolean {
  const prefix = freshPrefix(path);
  return name.startsWith(prefix) && /^[0-9a-f]{16}\.tmp$/.test(name.slice(prefix.length));
}

async function removeFresh(path: string): Promise<void> {
  const directory = dirname(path);
  for (const name of await readdir(directory))
    if (isFresh(name, path)) await rm(join(directory, name), { force: true });
}

/** A file may have the longest name that there is. */
function freshPrefix(path: string): string {
  return `.${basename(path).slice(0, 32)}.`;
}

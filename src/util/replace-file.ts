/** Replacing a file as a whole. */
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { withPath } from './errors.js';

/**
 * Writes a file under a name that nobody can foresee, and then gives it its own. Whoever reads it finds the old content
 * or the new.
 * @param options `mode` of a new file; `flush`: it is on the disk before it has its name
 * @throws the error of a system call; then nothing is left
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: { readonly mode?: number; readonly flush?: boolean } = {},
): Promise<void> {
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

/** A file may have the longest name that there is. */
function freshPrefix(path: string): string {
  return `.${basename(path).slice(0, 32)}.`;
}

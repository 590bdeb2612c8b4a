/** Replacing a file as a whole. */
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';

/** How the name ends under which a file is written first. */
const FRESH = /\.[0-9a-f]{16}\.tmp$/;

/**
 * Writes a file under a name that nobody can foresee, and then gives it its own. Whoever reads it finds the old content
 * or the new.
 * @param options `mode` of a new file; `flush`: it is on the disk before it has its name
 * @throws the error of a system call; then nothing is left
 */
export async function replaceFile(
  path: string,
  content: string,
  options: { readonly mode?: number; readonly flush?: boolean } = {},
): Promise<void> {
  const fresh = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  try {
    await writeFile(fresh, content, { ...options, flag: 'wx' });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** Whether {@link replaceFile} has written `fresh` to be `path`. Its process was killed if it stays so. */
export function isFresh(fresh: string, path: string): boolean {
  return FRESH.test(fresh) && fresh.replace(FRESH, '') === path;
}

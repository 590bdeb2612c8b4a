/**
 * Workspaces: directories for files that are being written. Those of dead processes are swept.
 */

import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isOwnerGone, ownerTag } from './owner.js';

const PREFIX = '.build-';

/** Makes an empty directory in `store`, runs `use` with it, and always removes it afterwards, unless `use` moved it. */
export async function withWorkspace<T>(store: string, use: (directory: string) => Promise<T>): Promise<T> {
  const directory = join(store, `${PREFIX}${ownerTag()}-${randomBytes(4).toString('hex')}`);
  await mkdir(directory, { mode: 0o755 });
  try {
    // The umask may have cleared bits that QEMU needs when it runs as another user.
    await chmod(directory, 0o755);
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** True for the name of a workspace. */
export function isWorkspace(name: string): boolean {
  return name.startsWith(PREFIX);
}

function isAbandoned(store: string, name: string): boolean {
  const tag = /^\.build-(.+)-\w+$/.exec(name)?.[1] ?? '';
  return isOwnerGone(tag, () => {
    const found = statSync(join(store, name), { throwIfNoEntry: false });
    return found === undefined ? 0 : Date.now() - found.mtimeMs;
  });
}

/**
 * Removes the workspaces in `store` whose owner is gone. One that cannot be removed stays: it only takes disk space.
 *
 * @param dryRun Remove nothing.
 * @param mayGo Called before one is removed, with its path; false: it stays.
 * @returns the paths that were removed, or would be
 */
export async function sweepWorkspaces(
  store: string,
  dryRun = false,
  mayGo: (path: string) => Promise<boolean> = async () => true,
): Promise<string[]> {
  const names = (await readdir(store).catch(() => [])).filter(isWorkspace);
  const swept: string[] = [];
  for (const name of names.filter((name) => isAbandoned(store, name))) {
    const path = join(store, name);
    const gone =
      dryRun ||
      ((await mayGo(path)) &&
        (await rm(path, { recursive: true, force: true }).then(
          () => true,
          () => false,
        )));
    if (gone) swept.push(path);
  }
  return swept;
}

/** Replaces one directory by another, atomically. */
import { lstatSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncToDisk } from './sync.js';
import { withWorkspace } from './workspace.js';

/** renameat2(2): AT_FDCWD and RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>. */
const HERE = -100;
const EXCHANGE = 2;

/**
 * Moves the workspace `from` to `to`, atomically and durably. If `to` existed, the old directory is in `from`
 * afterwards, and is removed with the workspace.
 */
export async function replaceDirectory(from: string, to: string): Promise<void> {
  await syncToDisk(from);
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) await rename(from, to);
  else await exchange(from, to);
  await syncToDisk(dirname(to));
}

/** Exchanges two directories atomically; if the file system cannot do that, moves them one after the other. */
async function exchange(from: string, to: string): Promise<void> {
  const { default: koffi } = await import('koffi');
  const renameat2 = koffi
    .load('libc.so.6')
    .func('int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, unsigned int flags)');
  if (renameat2(HERE, from, HERE, to, EXCHANGE) === 0) return;
  await withWorkspace(dirname(to), async (aside) => {
    await rename(to, join(aside, basename(to)));
    await rename(from, to);
  });
}

/** A directory that takes the place of another one. */
import { lstatSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncToDisk } from './store.js';
import { withWorkspace } from './workspace.js';

/** renameat2(2): AT_FDCWD and RENAME_EXCHANGE of <fcntl.h> and <linux/fs.h>. */
const HERE = -100;
const EXCHANGE = 2;

/**
 * Gives the workspace `from` the name `to`, which is then this directory whole or what it was before. Where there was one, `from` is the old one
 * afterwards, to be removed as a workspace is. It is on the disk when this returns.
 */
export async function replaceDirectory(from: string, to: string): Promise<void> {
  await syncToDisk(from);
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) await rename(from, to);
  else await exchange(from, to);
  await syncToDisk(dirname(to));
}

/** Lets two directories take each other's place at once; where the file system cannot, one after the other. */
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

/** Where an archive is written: a file that is there as a whole or not at all, or standard output. */
import { randomBytes } from 'node:crypto';
import { constants, existsSync, lstatSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { lockOpenFile } from '../../oci/lock.js';
import { isSystemError } from '../../util/errors.js';
import { writeAll } from '../../util/write-all.js';
import { notWritten, outputNotFile } from './errors.js';

/** Takes an archive piece by piece. */
export type WriteArchive = (write: (piece: Buffer) => Promise<void>) => Promise<void>;

/**
 * Writes a file, readable by this user alone: an archive has what the service keeps secret.
 * @throws {SandboxError} `service-archive-not-written`, and what `fill` throws
 */
export async function writeArchiveFile(path: string, fill: WriteArchive): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw outputNotFile(path);
  const start = `.${basename(path).slice(0, 32)}.`;
  let draft: string | undefined;
  try {
    await removeStale(dirname(path), start);
    const opened = await openDraft(join(dirname(path), start));
    const { file } = opened;
    draft = opened.path;
    try {
      let at = 0;
      await fill(async (piece) => {
        await writeAll(file, piece, at);
        at += piece.length;
      });
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
    draft = undefined;
    await flush(dirname(path));
  } catch (error) {
    throw isSystemError(error) ? notWritten(path, error) : error;
  } finally {
    if (draft !== undefined) await rm(draft, { force: true });
  }
}

/** A new file, locked while it is written. */
async function openDraft(start: string): Promise<{ path: string; file: FileHandle }> {
  for (;;) {
    const path = `${start}${randomBytes(8).toString('hex')}.tmp`;
    const file = await open(path, 'wx', 0o600);
    // A file system may have no locks: then none of its drafts counts as stale.
    await lockOpenFile(file, 'exclusive', {}).catch(() => {});
    // Before it was locked, another export may have taken it for one that was left.
    if (existsSync(path)) return { path, file };
    await file.close();
  }
}

/** Removes what exports of this user to the same file have left that were killed. */
async function removeStale(directory: string, start: string): Promise<void> {
  const isDraft = (name: string) => name.startsWith(start) && /^[0-9a-f]{16}\.tmp$/.test(name.slice(start.length));
  for (const name of (await readdir(directory)).filter(isDraft)) {
    const path = join(directory, name);
    try {
      if (await isStale(path)) await rm(path);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}

async function isStale(path: string): Promise<boolean> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile() || found.uid !== process.geteuid?.()) return false;
    const onWait = () => {
      throw new InUse();
    };
    await lockOpenFile(file, 'exclusive', { onWait });
    return true;
  } catch (error) {
    if (error instanceof InUse) return false;
    throw error;
  } finally {
    await file.close();
  }
}

/** Somebody is writing it. */
class InUse extends Error {}

async function flush(directory: string): Promise<void> {
  const file = await open(directory, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

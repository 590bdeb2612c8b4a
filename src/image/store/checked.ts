/**
 * Notes which files of an image were checked: read, and found to be what the manifest says. A note has the identity of
 * each (util/input-log.ts), and is a file `.checked/ID.json` of the store. So a start reads no kernel to see that it is
 * the one that was checked, and a changed one is noticed.
 *
 * The notes are as good as the store itself: only its owner can write to either.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, valueOr } from '../../util/errors.js';
import { identityFrom } from '../../util/input-log.js';
import { isHeldByTrusted } from '../../util/ownership.js';
import { isRecord, parseJson } from '../../util/records.js';
import { readIfThere } from '../../util/small-files.js';
import { isImageId, type Manifest } from '../manifest.js';

function checkedDirectory(store: string): string {
  return join(store, '.checked');
}

function notePath(store: string, id: string): string {
  return join(checkedDirectory(store), `${id}.json`);
}

/**
 * True if the image's files are those that were checked: nobody but root and this user may change them or put others in
 * their place, and their identities are the noted ones.
 */
export function isChecked(store: string, { id, files }: Manifest): boolean {
  const noted = readNote(notePath(store, id));
  if (noted === undefined || !isOwnDirectory(join(store, id))) return false;
  return files.every(({ name }) => {
    const identity = ownIdentity(join(store, id, name));
    return identity !== undefined && identity === noted[name];
  });
}

/** The identity of a regular file that nobody but root and this user may change; undefined for any other. */
export function ownIdentity(path: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found?.isFile() && isHeldByTrusted(found) ? identityFrom(found) : undefined;
}

/** True for a directory, and not a link to one, in which nobody but root and this user may change anything. */
export function isOwnDirectory(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && isHeldByTrusted(found);
}

/**
 * Notes that the files of an image were checked. Call it when they are in their place: a rename changes an identity.
 * Does nothing in a store that this user cannot write to.
 */
export async function noteChecked(store: string, { id, files }: Manifest): Promise<void> {
  const identities = Object.fromEntries(files.map(({ name }) => [name, ownIdentity(join(store, id, name))]));
  const target = notePath(store, id);
  const fresh = `${target}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    // Other users may read a store of root's, whatever the umask.
    const isNew = await mkdir(checkedDirectory(store)).then(() => true, ignore('EEXIST'));
    if (isNew) await chmod(checkedDirectory(store), 0o755);
    const file = await open(fresh, 'wx', 0o644);
    try {
      await file.chmod(0o644);
      await file.writeFile(`${JSON.stringify(identities)}\n`);
    } finally {
      await file.close();
    }
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {});
    if (!isSystemError(error)) throw error;
  }
}

function ignore(code: string): (error: unknown) => void {
  return (error) => {
    if (!isSystemError(error, code)) throw error;
  };
}

/** Removes notes of images that are gone, and half-written ones. */
export async function pruneNotes(store: string): Promise<void> {
  const images = new Set(valueOr(() => readdirSync(store), []).filter(isImageId));
  for (const name of valueOr(() => readdirSync(checkedDirectory(store)), [])) {
    const [id = '', suffix, ...more] = name.split('.');
    if (suffix !== 'json' || more.length > 0 || !images.has(id)) await rm(join(checkedDirectory(store), name));
  }
}

function readNote(path: string): Record<string, unknown> | undefined {
  const text = readIfThere(path);
  if (text === undefined || ownIdentity(path) === undefined) return undefined;
  const note = parseJson(text);
  return isRecord(note) ? note : undefined;
}

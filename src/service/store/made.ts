/**
 * `made.json` in the directory of a service: what was made for it elsewhere, which goes when it goes. It is written
 * before a thing is made, and again when its inode is known. So a process that is killed at any moment leaves nothing
 * that the next one does not find, and what somebody else has put at the same path is never removed.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { type BigIntStats, lstatSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import * as v from 'valibot';
import { isSystemError, messageOf } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { readPlainFile } from '../../util/small-files.js';
import { serviceError } from '../errors.js';
import { unmountBound } from './bound.js';
import { stateExists } from './state.js';

const FILE = 'made.json';
const MOST_BYTES = 65_536;

const schema = v.object({
  version: v.literal(1),
  made: v.array(
    v.object({
      kind: v.picklist(['directory', 'file']),
      path: v.pipe(v.string(), v.startsWith('/'), v.excludes('\0')),
      /** Those that it may have, with the times of their birth; none: it may not have been made. */
      inodes: v.array(v.pipe(v.string(), v.regex(/^\d{1,20} \d{1,20}$/))),
      /** Its name has a random number: whatever is there is ours. */
      isUnique: v.optional(v.boolean()),
    }),
  ),
});

/** One thing that was made. */
export type Made = v.InferOutput<typeof schema>['made'][number];

/**
 * What is on record in the directory of a service; nothing if there is no record, as of one that libvirt-sandbox made.
 * @throws {SandboxError} `service-damaged`
 */
export function readMade(directory: string): readonly Made[] {
  let text: string;
  try {
    text = readPlainFile(join(directory, FILE), { most: MOST_BYTES, uid: process.geteuid?.() });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw damaged(directory, messageOf(error), error);
  }
  try {
    return v.parse(schema, JSON.parse(text)).made;
  } catch (error) {
    throw damaged(directory, messageOf(error), error);
  }
}

function damaged(directory: string, why: string, cause: unknown) {
  return serviceError(
    'service-damaged',
    `${JSON.stringify(join(directory, FILE))} does not say what was made for the service: ${why}`,
    'remove that file, and then by hand what belongs to the service',
    cause,
  );
}

/** The record of a service that is being made. */
export class MadeRecord {
  readonly #directory: string;
  #made: readonly Made[] = [];

  /** @param directory of the service, which is there */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Makes a directory that nobody else may enter, and records it.
   * @throws {SandboxError} `service-state-exists`
   * @throws the error of a system call
   */
  async directory(path: string): Promise<void> {
    await this.#claim({ kind: 'directory', path, inodes: [] }, () => mkdir(path, { mode: 0o700 }));
  }

  /**
   * Makes a file that nobody else may read, and records it.
   * @param make makes the file at another path of the same directory
   * @param workplace a directory that `make` makes, and removes; its name has a random number
   * @throws {SandboxError} `service-state-exists`, and what `make` throws
   * @throws the error of a system call
   */
  async file(path: string, make: (temporary: string) => Promise<void>, workplace?: string): Promise<void> {
    const claimed = await this.#claim({ kind: 'file', path, inodes: [] }, async () =>
      (await open(path, 'wx', 0o600)).close(),
    );
    const temporary = join(dirname(path), `.${randomBytes(16).toString('hex')}${extname(path)}`);
    const drafts: Made[] = [{ kind: 'file', path: temporary, inodes: [], isUnique: true }];
    if (workplace !== undefined) drafts.push({ kind: 'directory', path: workplace, inodes: [], isUnique: true });
    await this.#put([...this.#made, ...drafts]);
    await make(temporary);
    // From here on either of both files may have the name.
    const last = inodesOf(temporary);
    const put = (inodes: string[]) =>
      this.#put(this.#made.map((one) => (one.path === path ? { ...claimed, inodes } : one)));
    await put([...claimed.inodes, ...last]);
    await rename(temporary, path);
    // The inode of the first one is free, and somebody else's file may have it.
    await put(last);
    await this.#put(this.#made.filter((one) => !drafts.includes(one)));
  }

  async #claim(made: Made, act: () => Promise<unknown>): Promise<Made> {
    await this.#put([...this.#made, made]);
    try {
      await act();
    } catch (error) {
      // It is another's, or not there.
      await this.#put(this.#made.filter((one) => one.path !== made.path));
      throw isSystemError(error, 'EEXIST') ? stateExists(made.path, error) : error;
    }
    const known = { ...made, inodes: inodesOf(made.path) };
    await this.#put(this.#made.map((one) => (one.path === made.path ? known : one)));
    return known;
  }

  async #put(made: readonly Made[]): Promise<void> {
    const text = `${JSON.stringify({ version: 1, made })}\n`;
    await replaceFile(join(this.#directory, FILE), text, { mode: 0o600, flush: true });
    this.#made = made;
  }
}

function inodesOf(path: string): string[] {
  const found = statsOf(path);
  return found === undefined ? [] : [inodeText(found)];
}

/** Undefined: nothing is there. Nothing can be at a path that is too long. */
function statsOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if (isSystemError(error, 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/** A file system such as ext4 gives the number of a removed file to the next one, so the time of its birth counts too. */
function inodeText({ ino, birthtimeNs }: BigIntStats): string {
  return `${ino} ${birthtimeNs < 0n ? 0n : birthtimeNs}`;
}

/**
 * Removes what was made. What is not there any more is passed over.
 * @returns paths where something else is by now, which stays
 * @throws the error of a system call
 */
export function removeMade(made: readonly Made[]): string[] {
  return made.filter((one) => !removeOne(one)).map(({ path }) => path);
}

/** @returns false: something else is there */
function removeOne({ kind, path, inodes, isUnique = false }: Made): boolean {
  const found = statsOf(path);
  if (found === undefined) return true;
  // Whoever made it was killed before it knew the inode: then it is empty, and what is not is not ours.
  if (inodes.length === 0 && !isUnique) return removeEmpty(kind, path, found.size === 0n);
  if (!isUnique && !inodes.includes(inodeText(found))) return false;
  if ((kind === 'directory') !== found.isDirectory()) return false;
  if (kind === 'directory') unmountBound(path);
  removeTree(path);
  return true;
}

/** A guest may have made directories in one another whose paths are longer than any path may be: rm(1) goes down to them. */
function removeTree(path: string): void {
  try {
    // What a killed process had started there may still be ending.
    rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  } catch (error) {
    if (!isSystemError(error, 'ENAMETOOLONG')) throw error;
    const { status } = spawnSync('rm', ['-rf', '--', path], { stdio: 'ignore' });
    if (status !== 0) throw error;
  }
}

function removeEmpty(kind: Made['kind'], path: string, isEmpty: boolean): boolean {
  try {
    if (kind === 'directory') rmdirSync(path);
    else if (isEmpty) unlinkSync(path);
    else return false;
    return true;
  } catch (error) {
    if (isSystemError(error)) return isSystemError(error, 'ENOENT');
    throw error;
  }
}

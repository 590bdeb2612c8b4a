/**
 * The store: the directory of images, and how an image gets into it atomically.
 */

import { chmodSync, lstatSync } from 'node:fs';
import { chmod, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { writeSparse } from '../../kernel/copy.js';
import type { SparseFile } from '../../kernel/slim.js';
import { makeDirectories, openToAll } from '../../util/directories.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { baseDirectory } from '../../util/home.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { createContentFile } from '../../util/selinux.js';
import { INITRD_NAME, MANIFEST_NAME, type Manifest } from '../manifest.js';
import type { BootImage } from '../types.js';
import { isOwnDirectory } from './checked.js';
import { makeWhole } from './renew.js';
import { syncToDisk } from './sync.js';
import { withWorkspace } from './workspace.js';

/**
 * The store of this user: `$XDG_CACHE_HOME/virt-sandbox/images` where that variable is an absolute path, else
 * /var/cache/virt-sandbox/images for root and ~/.cache/virt-sandbox/images for everyone else.
 */
export function defaultStoreDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const isSet = isAbsolute(environment['XDG_CACHE_HOME'] ?? '');
  if (!isSet && process.geteuid?.() === 0) return '/var/cache/virt-sandbox/images';
  return join(baseDirectory('XDG_CACHE_HOME', environment), 'virt-sandbox', 'images');
}

/**
 * Refuses a store in which somebody besides root and this user could change what is booted. One that does not exist is
 * looked at when it is made.
 *
 * @throws {SandboxError} `store-not-safe`
 */
export function refuseUnsafeStore(store: string): void {
  if (lstatSync(store, { throwIfNoEntry: false }) === undefined) return;
  const other = othersWhoMayReplace(store);
  if (other === undefined) return;
  throw new SandboxError({
    stage: 'image',
    code: 'store-not-safe',
    message: `boot images are not taken from ${store}: ${other}`,
    remedy: 'see that nobody but root and this user may write there, or set XDG_CACHE_HOME to such a directory',
  });
}

/**
 * Turns a failed system call on the store into a SandboxError (`disk-full`, `store-not-writable`); returns any other
 * error unchanged.
 *
 * @param needed Bytes that were to be written.
 */
export function storeError(error: unknown, store: string, needed = 0): unknown {
  if (!isSystemError(error)) return error;
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return diskFullError('a boot image', store, needed, error);
  const where = error.path === undefined ? '' : ` at ${error.path}`;
  return new SandboxError({
    stage: 'image',
    code: 'store-not-writable',
    message: `boot images cannot be written to ${store} (${error.code}${where})`,
    remedy: 'make it a directory that this user may write to, or set XDG_CACHE_HOME to one',
    cause: error,
  });
}

/** @param needed Bytes that were to be written. */
export function diskFullError(what: string, directory: string, needed: number, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'disk-full',
    message: `no space is left in ${directory} for ${what}`,
    remedy: `free ${Math.ceil(needed / 1e6) + 1} MB there, or set XDG_CACHE_HOME to a directory with space`,
    cause,
  });
}

/**
 * Makes the store and its index. Other users can enter every new directory, whatever the umask.
 *
 * @throws {SandboxError} `store-not-safe`
 */
export function makeStore(store: string): void {
  const index = indexDirectory(store);
  const first = makeDirectories(index, 0o755);
  for (let directory = index; first !== undefined; directory = dirname(directory)) {
    chmodSync(directory, 0o755);
    if (directory === first) break;
  }
  refuseUnsafeStore(store);
  for (const directory of [index, store, dirname(store)]) openToAll(directory);
}

/** Directory of the answers to requests: see lookup.ts. */
export function indexDirectory(store: string): string {
  return join(store, '.index');
}

/** True if the image's files exist with the sizes in its manifest. Links are none of them. */
export function hasFiles(directory: string, manifest: Manifest): boolean {
  return lackingFile(directory, manifest) === undefined;
}

/** The first file of an image that is not there, or has another size, as a sentence; undefined: none. */
export function lackingFile(directory: string, { files }: Manifest): string | undefined {
  for (const { name, size } of files) {
    const path = join(directory, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return `${path} is missing`;
    if (found.isSymbolicLink()) return `${path} is a symbolic link`;
    if (!found.isFile()) return `${path} is not a regular file`;
    if (found.size !== size) return `${path} has ${found.size} bytes and not ${size}`;
  }
  return undefined;
}

/** The image in `directory`, as its users get it. */
export function bootImage(
  directory: string,
  { manifest, ...found }: Pick<BootImage, 'manifest' | 'reason' | 'fresh' | 'timings'>,
): BootImage {
  return {
    id: manifest.id,
    directory,
    kernel: join(directory, manifest.kernel.file),
    initrd: join(directory, INITRD_NAME),
    kernelVersion: manifest.kernel.version,
    manifest,
    ...found,
  };
}

/**
 * The manifest of the image `id` in the store; undefined if the image is missing, damaged, or incomplete. Files that are
 * not known to be what the manifest says are read.
 */
export async function findImage(store: string, id: string): Promise<Manifest | undefined> {
  const directory = join(store, id);
  const text = await readFile(join(directory, MANIFEST_NAME), 'utf8').catch((error: unknown) => {
    if (isSystemError(error)) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const { parseManifest } = await import('./manifest-schema.js');
  const manifest = parseManifest(text);
  return manifest?.id === id && (await makeWhole(store, manifest)) ? manifest : undefined;
}

/** Writes a new file that other users can read, and waits until it is on the disk. */
export async function writeDurably(path: string, content: SparseFile | Buffer): Promise<void> {
  createContentFile(path);
  const file = await open(path, 'r+');
  try {
    // Nobody has a reason to change what others boot.
    await file.chmod(0o444);
    if (Buffer.isBuffer(content)) await file.writeFile(content);
    else await writeSparse(file, content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function replaceFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isSystemError(error, 'EISDIR')) throw error;
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
}

/**
 * Moves the image from `workspace` to its id in the store, atomically. If another builder was faster, its image is
 * kept, since the same id means the same content. A damaged image gets its files replaced one by one, each atomically,
 * so that no file is ever missing. A directory in which others may write is removed first.
 *
 * @param replace Also replace an image that looks whole.
 * @returns true if the image in the store is now the one from the workspace.
 */
export async function publish(store: string, workspace: string, id: string, replace: boolean): Promise<boolean> {
  const target = join(store, id);
  await syncToDisk(workspace);
  if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true && !isOwnDirectory(target))
    await withWorkspace(store, (aside) => rename(target, join(aside, id)));
  try {
    await rename(workspace, target);
  } catch (error) {
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'EEXIST')) throw error;
    if (!replace && (await findImage(store, id)) !== undefined) return false;
    makeDirectories(target);
    await chmod(target, 0o755);
    for (const name of await readdir(workspace)) await replaceFile(join(workspace, name), join(target, name));
    await syncToDisk(target);
  }
  await syncToDisk(store);
  return true;
}

/**
 * Copies an image to a directory outside the store, to keep it, to look into it, or to ship it.
 *
 * The copy is written in a workspace beside its target. The store keeps a note of that place, so that the leftovers of
 * a killed process are found.
 */

import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { chmod, copyFile, readdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { absolutePath } from '../../util/working-directory.js';
import { MANIFEST_NAME, manifestText } from '../manifest.js';
import type { BootImage } from '../types.js';
import { isOwnerGone, ownerTag } from './owner.js';
import { replaceDirectory } from './replace.js';
import { makeStore, writeDurably } from './store.js';
import { syncToDisk } from './sync.js';
import { sweepWorkspaces, withWorkspace } from './workspace.js';

/** How long a note is kept of a place on a disk that is not mounted, in milliseconds. */
const KEPT_MS = 30 * 86_400_000;

function outputsDirectory(store: string): string {
  return join(store, '.outputs');
}

/**
 * Copies an image to `output`, atomically: whatever kills this process, `output` is the new image or as before.
 *
 * @param complete Adds something to the copy before it moves to `output`.
 * @throws {SandboxError} `output-not-an-image` if `output` holds something else; `disk-full`, `output-not-writable`,
 * `store-not-writable`.
 */
export async function exportImage(
  image: BootImage,
  output: string,
  store: string,
  complete?: (directory: string) => Promise<void>,
): Promise<void> {
  const target = absolutePath(output);
  const above = dirname(target);
  checkTarget(target, output);
  makeStore(store);
  const hash = createHash('sha256').update(above).digest('hex').slice(0, 16);
  const note = join(outputsDirectory(store), `${hash}.${ownerTag()}.${deviceOf(above)}`);
  try {
    makeDirectories(outputsDirectory(store), 0o755);
    await rm(note, { force: true });
    await symlink(above, note);
    try {
      makeDirectories(above);
      await sweepWorkspaces(above);
      await withWorkspace(above, async (workspace) => {
        for (const { name } of image.manifest.files)
          await copyDurably(join(image.directory, name), join(workspace, name));
        await writeDurably(join(workspace, MANIFEST_NAME), Buffer.from(manifestText(image.manifest)));
        await complete?.(workspace);
        await replaceDirectory(workspace, target);
      });
    } finally {
      await rm(note, { force: true });
    }
  } catch (error) {
    throw outputError(error, output, image);
  }
}

function outputError(error: unknown, output: string, { manifest }: BootImage): unknown {
  if (!isSystemError(error)) return error;
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  const size = manifest.files.reduce((sum, file) => sum + file.size, 0);
  return new SandboxError({
    stage: 'image',
    code: isFull ? 'disk-full' : 'output-not-writable',
    message: `the image cannot be written to ${output} (${error.code})`,
    remedy: isFull ? `free ${Math.ceil(size / 1e6) + 1} MB there` : 'name a directory that you may write to',
    cause: error,
  });
}

/** Throws unless `target` is missing, an empty directory or an image. */
function checkTarget(target: string, output: string): void {
  const stat = lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const names = stat.isDirectory() ? readdirSync(target) : [];
  if (stat.isDirectory() && (names.length === 0 || names.includes(MANIFEST_NAME))) return;
  throw new SandboxError({
    stage: 'image',
    code: 'output-not-an-image',
    message: `${output} exists and is not a boot image`,
    remedy: 'name a directory that does not exist, is empty, or holds an image',
  });
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o644);
  await syncToDisk(to);
}

/** The number of the file system that a path is on, or that it will be on once it is made. */
function deviceOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined && dirname(path) !== path ? deviceOf(dirname(path)) : (found?.dev ?? 0);
}

/** Removes the workspaces that killed processes left beside their outputs. Returns the removed paths. */
export async function sweepOutputs(store: string, dryRun = false): Promise<string[]> {
  const directory = outputsDirectory(store);
  const swept: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    const note = join(directory, name);
    try {
      const output = readlinkSync(note);
      const found = await sweepWorkspaces(output, dryRun);
      swept.push(...found);
      const [, tag = '', device] = name.split('.', 3);
      // Another one: its disk may be mounted again later.
      const isThere = device === undefined || device === String(deviceOf(output));
      const age = () => Date.now() - (lstatSync(note, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (!dryRun && isOwnerGone(tag, age) && (isThere || found.length > 0 || age() > KEPT_MS))
        await rm(note, { force: true });
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
  return swept;
}

/** Whether an image is, to the last byte, what was baked. */

import { createHash } from 'node:crypto';
import { createReadStream, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { readIfThere } from '../../util/small-files.js';
import { finalEntries } from '../archive/read.js';
import { INITRD_NAME, MANIFEST_NAME, type Manifest, manifestText, sha256 } from '../manifest.js';
import { digestSparse } from '../snapshot/digest.js';
import { isRetired } from '../snapshot/generations.js';
import {
  readSnapshot,
  SNAPSHOT_EMPTY,
  SNAPSHOT_MEMORY,
  SNAPSHOT_RECORD,
  SNAPSHOT_STATE,
  SNAPSHOTS_DIRECTORY,
  snapshotDirectoriesOf,
} from '../snapshot/snapshot.js';
import { parseManifest } from '../store/manifest-schema.js';
import type { ImageRef } from '../store/open.js';
import { isWorkspace } from '../store/workspace.js';
import { readInitrdFile } from './source.js';

/** Something in an image that is not as it was baked. */
export interface Damage {
  /** A file of the image, or a path in its initrd behind `initrd:`. */
  readonly file: string;
  readonly problem: string;
}

/**
 * Reads all of an image and compares it with what its manifest says; and the manifest with its seal, which is the image's name.
 *
 * @returns what is wrong; nothing for a whole image
 */
export async function verifyImage(ref: ImageRef): Promise<Damage[]> {
  const text = readIfThere(join(ref.directory, MANIFEST_NAME));
  if (text === undefined) return [{ file: MANIFEST_NAME, problem: 'it is missing or cannot be read' }];
  const manifest = parseManifest(text);
  if (manifest === undefined) {
    return [{ file: MANIFEST_NAME, problem: 'it is damaged or changed, or of another version of this program' }];
  }
  const damage: Damage[] = [];
  if (manifestText(manifest) !== text) {
    damage.push({ file: MANIFEST_NAME, problem: 'it says the same in other bytes than those that were written' });
  }
  if (ref.id !== undefined && manifest.id !== ref.id) {
    damage.push({ file: MANIFEST_NAME, problem: `it is that of the image ${manifest.id}` });
  }
  for (const { name, sha256: expected } of manifest.files) {
    const problem = await fileProblem(hashFile(join(ref.directory, name)), expected);
    if (problem !== undefined) damage.push({ file: name, problem });
  }
  if (!damage.some(({ file }) => file === INITRD_NAME)) damage.push(...(await initrdDamage(ref, manifest)));
  damage.push(...(await snapshotDamage(ref, manifest)));
  // Saved machines have a check of their own.
  const known = [MANIFEST_NAME, SNAPSHOTS_DIRECTORY, ...manifest.files.map(({ name }) => name)];
  return [...damage, ...strangers(ref.directory, ref.directory, (name) => known.includes(name))];
}

/** Saved machines of the image: their records, their files, and what else is there. */
async function snapshotDamage({ directory }: ImageRef, { id }: Manifest): Promise<Damage[]> {
  const above = join(directory, SNAPSHOTS_DIRECTORY);
  const damage: Damage[] = [];
  for (const warm of snapshotDirectoriesOf(directory).filter((path) => !isRetired(path))) {
    const within = (name: string) => relative(directory, join(warm, name));
    const record = readSnapshot(warm)?.record;
    if (record === undefined) {
      damage.push({
        file: within(SNAPSHOT_RECORD),
        problem: 'it is missing, unreadable, changed, or of another version',
      });
    } else if (record.image !== id) {
      damage.push({ file: within(SNAPSHOT_RECORD), problem: `it is that of a machine of the image ${record.image}` });
    }
    for (const { name, digest } of record?.files ?? []) {
      const problem = await fileProblem(digestSparse(join(warm, name)), digest);
      if (problem !== undefined) damage.push({ file: within(name), problem });
    }
    const known = [SNAPSHOT_RECORD, SNAPSHOT_MEMORY, SNAPSHOT_STATE, SNAPSHOT_EMPTY];
    damage.push(
      ...strangers(directory, warm, (name) => known.includes(name)),
      ...strangers(directory, join(warm, SNAPSHOT_EMPTY), () => false),
    );
  }
  // Whoever bakes just now has a directory there.
  return [...damage, ...strangers(directory, above, (name) => !name.startsWith('.') || isWorkspace(name))];
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

async function fileProblem(digest: Promise<string>, expected: string): Promise<string | undefined> {
  try {
    return (await digest) === expected ? undefined : 'its content was changed';
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return error.code === 'ENOENT' ? 'it is missing' : `it cannot be read (${messageOf(error)})`;
  }
}

/** The init and the modules inside are those that the manifest names. */
async function initrdDamage(ref: ImageRef, manifest: Manifest): Promise<Damage[]> {
  let entries: ReturnType<typeof finalEntries>;
  try {
    entries = finalEntries((await readInitrdFile(join(ref.directory, INITRD_NAME))).archives);
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return [{ file: INITRD_NAME, problem: error.message }];
  }
  const wanted = [{ file: 'init', sha256: manifest.init.sha256 }, ...manifest.modules];
  return wanted
    .filter((part) => {
      const content = entries.get(part.file)?.content;
      return content === undefined || sha256(content) !== part.sha256;
    })
    .map(({ file }) => ({ file: `${INITRD_NAME}:${file}`, problem: 'it is not the one that the manifest names' }));
}

/** What is in a directory and nobody put there when the image was baked. */
function strangers(image: string, directory: string, isKnown: (name: string) => boolean): Damage[] {
  return valueOr(() => readdirSync(directory), [])
    .filter((name) => !isKnown(name))
    .map((name) => ({ file: relative(image, join(directory, name)), problem: 'it is no part of the image' }));
}

/** Checks that every byte of an image is as baked. */

import { lstatSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SandboxError, valueOr } from '../../util/errors.js';
import { fileProblem, readRegular } from '../../util/regular-files.js';
import { finalEntries } from '../archive/read.js';
import { INITRD_NAME, MANIFEST_NAME, type Manifest, MOST_MANIFEST, manifestText, sha256 } from '../manifest.js';
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
} from '../snapshot/record.js';
import { digestFile } from '../store/copy.js';
import { parseManifest } from '../store/manifest-schema.js';
import type { ImageRef } from '../store/open.js';
import { isWorkspace } from '../store/workspace.js';
import { readImageInitrd } from './source.js';

/** One thing in an image that is not as baked. */
export interface Damage {
  /** A file of the image, or `initrd:PATH` for a file in its initrd. */
  readonly file: string;
  readonly problem: string;
}

/**
 * Reads all of an image and compares it with its manifest, and the manifest with its hash, which is the image's id.
 *
 * @returns the damages; none for a whole image
 */
export async function verifyImage(ref: ImageRef): Promise<Damage[]> {
  let text: string;
  try {
    text = readRegular(join(ref.directory, MANIFEST_NAME), MOST_MANIFEST);
  } catch (error) {
    return [{ file: MANIFEST_NAME, problem: `it ${problemOf(error)}` }];
  }
  const manifest = parseManifest(text);
  if (manifest === undefined) {
    return [{ file: MANIFEST_NAME, problem: 'it is damaged or changed, or of another version of this program' }];
  }
  const damage: Damage[] = [];
  if (manifestText(manifest) !== text) {
    damage.push({ file: MANIFEST_NAME, problem: 'its fields are unchanged, but its bytes are not as written' });
  }
  if (ref.id !== undefined && manifest.id !== ref.id) {
    damage.push({ file: MANIFEST_NAME, problem: `it belongs to the image ${manifest.id}` });
  }
  for (const { name, size, sha256: expected } of manifest.files) {
    const path = join(ref.directory, name);
    const problem = sizeProblem(path, size) ?? (await digestProblem(() => digestFile(path), expected));
    if (problem !== undefined) damage.push({ file: name, problem });
  }
  if (!damage.some(({ file }) => file === INITRD_NAME)) damage.push(...(await initrdDamage(ref, manifest)));
  damage.push(...(await snapshotDamage(ref, manifest)));
  // Snapshots have a check of their own.
  const known = [MANIFEST_NAME, SNAPSHOTS_DIRECTORY, ...manifest.files.map(({ name }) => name)];
  return [...damage, ...strangers(ref.directory, ref.directory, (name) => known.includes(name))];
}

/** Checks the image's snapshots: records, files, and foreign files beside them. */
async function snapshotDamage({ directory }: ImageRef, { id }: Manifest): Promise<Damage[]> {
  const above = join(directory, SNAPSHOTS_DIRECTORY);
  const damage: Damage[] = [];
  for (const snapshot of snapshotDirectoriesOf(directory).filter((path) => !isRetired(path))) {
    const within = (name: string) => relative(directory, join(snapshot, name));
    const record = readSnapshot(snapshot)?.record;
    if (record === undefined) {
      damage.push({
        file: within(SNAPSHOT_RECORD),
        problem: 'it is missing, unreadable, changed, or of another version',
      });
    } else if (record.image !== id) {
      damage.push({ file: within(SNAPSHOT_RECORD), problem: `it belongs to a snapshot of the image ${record.image}` });
    }
    for (const { name, digest } of record?.files ?? []) {
      const problem = await digestProblem(() => digestSparse(join(snapshot, name)), digest);
      if (problem !== undefined) damage.push({ file: within(name), problem });
    }
    const known = [SNAPSHOT_RECORD, SNAPSHOT_MEMORY, SNAPSHOT_STATE, SNAPSHOT_EMPTY];
    damage.push(
      ...strangers(directory, snapshot, (name) => known.includes(name)),
      ...strangers(directory, join(snapshot, SNAPSHOT_EMPTY), () => false),
    );
  }
  // A running bake has a workspace there.
  return [...damage, ...strangers(directory, above, (name) => !name.startsWith('.') || isWorkspace(name))];
}

/** A file that is longer than it should be may be very long, and is not read. */
function sizeProblem(path: string, expected: number): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() && found.size !== expected ? 'its content was changed' : undefined;
}

async function digestProblem(digest: () => Promise<string>, expected: string): Promise<string | undefined> {
  try {
    return (await digest()) === expected ? undefined : 'its content was changed';
  } catch (error) {
    return `it ${problemOf(error)}`;
  }
}

/** @throws an error that is not about a file */
function problemOf(error: unknown): string {
  const problem = fileProblem(error);
  if (problem === undefined) throw error;
  return problem;
}

/** Checks that the init and the modules in the initrd are those of the manifest. */
async function initrdDamage(ref: ImageRef, manifest: Manifest): Promise<Damage[]> {
  let entries: ReturnType<typeof finalEntries>;
  try {
    entries = finalEntries((await readImageInitrd(ref.directory)).archives);
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

/** Files in a directory that are not part of the image. */
function strangers(image: string, directory: string, isKnown: (name: string) => boolean): Damage[] {
  return valueOr(() => readdirSync(directory), [])
    .filter((name) => !isKnown(name))
    .map((name) => ({ file: relative(image, join(directory, name)), problem: 'it is not part of the image' }));
}

/** Whether an image is, to the last byte, what was baked. */

import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { isSystemError, messageOf, SandboxError } from '../errors.js';
import { finalEntries } from './archive/read.js';
import { readInitrdFile } from './archive/source.js';
import { hasDigest } from './digest.js';
import { INITRD_NAME, MANIFEST_NAME, type Manifest, manifestText, sha256 } from './manifest.js';
import { parseManifest } from './manifest-schema.js';
import type { Place } from './open.js';
import { warmImagesOf } from './warm.js';

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
export async function verifyImage(place: Place): Promise<Damage[]> {
  const text = readOrNothing(join(place.directory, MANIFEST_NAME));
  if (text === undefined) return [{ file: MANIFEST_NAME, problem: 'it is missing or cannot be read' }];
  const manifest = parseManifest(text);
  if (manifest === undefined) {
    return [{ file: MANIFEST_NAME, problem: 'it is damaged or changed, or of another version of this program' }];
  }
  const damage: Damage[] = [];
  if (manifestText(manifest) !== text) {
    damage.push({ file: MANIFEST_NAME, problem: 'it says the same in other bytes than those that were written' });
  }
  if (place.id !== undefined && manifest.id !== place.id) {
    damage.push({ file: MANIFEST_NAME, problem: `it is that of the image ${manifest.id}` });
  }
  for (const { name, sha256: expected } of manifest.files) {
    const problem = await fileProblem(join(place.directory, name), expected);
    if (problem !== undefined) damage.push({ file: name, problem });
  }
  if (!damage.some(({ file }) => file === INITRD_NAME)) damage.push(...(await initrdDamage(place, manifest)));
  return [...damage, ...(await warmDamage(place)), ...strangers(place, manifest)];
}

/** Saved machines of the image: their files as well. */
async function warmDamage({ directory }: Place): Promise<Damage[]> {
  const damage: Damage[] = [];
  for (const warm of warmImagesOf(directory)) {
    for (const file of warm.record.files) {
      if (await hasDigest(warm.directory, file)) continue;
      damage.push({ file: relative(directory, join(warm.directory, file.name)), problem: 'its content was changed' });
    }
  }
  return damage;
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

async function fileProblem(path: string, expected: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return error.code === 'ENOENT' ? 'it is missing' : `it cannot be read (${messageOf(error)})`;
  }
  return hash.digest('hex') === expected ? undefined : 'its content was changed';
}

/** The init and the modules inside are those that the manifest names. */
async function initrdDamage(place: Place, manifest: Manifest): Promise<Damage[]> {
  let entries: ReturnType<typeof finalEntries>;
  try {
    entries = finalEntries((await readInitrdFile(join(place.directory, INITRD_NAME))).archives);
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

/** Files that nobody baked. What belongs to a warm image has a check of its own. */
function strangers(place: Place, manifest: Manifest): Damage[] {
  const known = [MANIFEST_NAME, ...manifest.files.map(({ name }) => name)];
  return readdirSync(place.directory)
    .filter((name) => !known.includes(name) && !basename(name).startsWith('warm'))
    .map((name) => ({ file: name, problem: 'it is no part of the image' }));
}

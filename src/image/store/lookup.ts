/**
 * Finding an image again without reading what it is made of.
 *
 * An image's name is the hash of its content, and to compute that takes reading a kernel and unpacking modules. So the store also keeps,
 * for each request that was answered, the answer together with the identity of every file and directory that was looked at on
 * the way to it: the kernel and those that were passed over, the directories that were listed, the index files of module
 * trees, each module, each set, the init, and this code itself. A path that was not there is listed as absent.
 *
 * The answer holds as long as all of them look the same. They cannot look the same and be different: an identity has the
 * time of the last change, which the kernel sets at every write, in nanoseconds, and no program can set back; a file that
 * changed within a tick of that clock before the build began is not trusted, and its answer not kept (inputs.ts).
 * When any of them looks different, everything is read again, and if the content turns out to be the same, the same image.
 */

import { readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { readIfThere } from '../../util/small-files.js';
import { absolutePath } from '../../util/working-directory.js';
import { IMAGE_FORMAT, isImageId, MANIFEST_NAME, type Manifest, sha256 } from '../manifest.js';
import type { ImageOptions } from '../types.js';
import { hasFiles, indexDirectory } from './store.js';

/** An answer that was kept. */
export interface Remembered {
  readonly format: number;
  readonly image: string;
  /** SHA-256 of the image's manifest.json: it needs no other validation. */
  readonly manifest: string;
  /** Which kernel was chosen and why. */
  readonly reason: string;
  /** Path and identity of everything that the answer depends on. */
  readonly inputs: readonly (readonly [string, string])[];
}

/** The name of a request: all that is asked, but nothing that is read. */
export function requestKey(options: ImageOptions, setsDirectory: string): string {
  const { kernel, sets, nativeInit, searchPaths } = options;
  const absolute = (path: string | undefined): string | null => (path === undefined ? null : absolutePath(path));
  return sha256(
    JSON.stringify([
      IMAGE_FORMAT,
      kernel.version ?? null,
      absolute(kernel.path),
      absolute(kernel.modulesPath),
      searchPaths?.release ?? release(),
      absolute(searchPaths?.bootDirectory),
      absolute(searchPaths?.modulesDirectory),
      sets,
      options.compression ?? 'none',
      absolute(options.guestNode),
      absolutePath(setsDirectory),
      absolutePath(nativeInit),
      ...(options.debugShell === true ? ['debug shell'] : []),
      ...(options.kernelForm === 'packed' ? ['the kernel as it is packed'] : []),
      // What may be read depends on the user, and so does which kernel is chosen.
      process.geteuid?.() ?? null,
    ]),
  ).slice(0, 32);
}

export function rememberedPath(store: string, key: string): string {
  return join(indexDirectory(store), `${key}.json`);
}

function isRemembered(value: unknown): value is Remembered {
  const { format, image, manifest, reason, inputs } = (value ?? {}) as Partial<Remembered>;
  return (
    format === IMAGE_FORMAT &&
    typeof image === 'string' &&
    isImageId(image) &&
    typeof manifest === 'string' &&
    typeof reason === 'string' &&
    Array.isArray(inputs)
  );
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether the image is known to be the answer to some request. */
export function hasAnswer(store: string, id: string): boolean {
  return valueOr(() => readdirSync(indexDirectory(store)), []).some((file) => {
    const remembered = readRemembered(join(indexDirectory(store), file));
    return remembered?.image === id && holds(remembered);
  });
}

function readRemembered(path: string): Remembered | undefined {
  const text = readIfThere(path);
  const remembered = text === undefined ? undefined : parseOrNothing(text);
  return isRemembered(remembered) ? remembered : undefined;
}

function holds({ inputs }: Remembered): boolean {
  return inputs.every(([path, identity]) => identityOf(path) === identity);
}

/** The image that answered this request before, if the answer still holds and the image is whole. */
export function lookUp(store: string, key: string): { manifest: Manifest; reason: string } | undefined {
  const remembered = readRemembered(rememberedPath(store, key));
  if (remembered === undefined || !holds(remembered)) return undefined;
  const directory = join(store, remembered.image);
  const manifestText = readIfThere(join(directory, MANIFEST_NAME));
  if (manifestText === undefined || sha256(manifestText) !== remembered.manifest) return undefined;
  // These are the bytes that this package wrote itself, as their hash tells.
  const manifest = JSON.parse(manifestText) as Manifest;
  return hasFiles(directory, manifest) ? { manifest, reason: remembered.reason } : undefined;
}

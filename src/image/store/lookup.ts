/**
 * Finds an image again without reading its inputs.
 *
 * An image's id is the hash of its content; computing it takes reading a kernel and unpacking modules. So for each
 * answered request the store keeps the answer, with the identity of every file and directory that the build looked at:
 * the kernel and those passed over, the listed directories, the index files of module trees, each module, each set, the
 * init, and this code itself. A missing path is listed as absent.
 *
 * The answer holds as long as all identities stay the same. A changed file cannot keep its identity: that includes the
 * time of the last change in nanoseconds, which the kernel sets at every write and no program can set back. If a file
 * changed within a tick of that clock before the build began, the answer is not kept (util/input-log.ts). If any
 * identity differs, everything is read again; equal content gives the same image.
 */

import { readdirSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { valueOr } from '../../util/errors.js';
import { identityOf } from '../../util/input-log.js';
import { parseJson } from '../../util/records.js';
import { readIfThere } from '../../util/small-files.js';
import { absolutePath } from '../../util/working-directory.js';
import { IMAGE_FORMAT, isImageId, MANIFEST_NAME, type Manifest, sha256 } from '../manifest.js';
import type { ImageOptions } from '../types.js';
import { hasFiles, indexDirectory } from './store.js';

/** A stored answer. */
export interface Remembered {
  readonly format: number;
  readonly image: string;
  /** SHA-256 of the image's manifest.json, which then needs no other validation. */
  readonly manifest: string;
  /** Which kernel was chosen and why. */
  readonly reason: string;
  /** Path and identity of every input of the answer. */
  readonly inputs: readonly (readonly [string, string])[];
}

/** The name of a request: a hash of its options, not of any file. */
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
      // Which files are readable depends on the user, and so does the choice of the kernel.
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

/** True if the image answers some request, and the answer still holds. */
export function hasAnswer(store: string, id: string): boolean {
  return valueOr(() => readdirSync(indexDirectory(store)), []).some((file) => {
    const remembered = readRemembered(join(indexDirectory(store), file));
    return remembered?.image === id && holds(remembered);
  });
}

function readRemembered(path: string): Remembered | undefined {
  const text = readIfThere(path);
  const remembered = text === undefined ? undefined : parseJson(text);
  return isRemembered(remembered) ? remembered : undefined;
}

function holds({ inputs }: Remembered): boolean {
  return inputs.every(([path, identity]) => identityOf(path) === identity);
}

/**
 * The image that answered this request before; undefined if the answer no longer holds, or the image is incomplete.
 * Whether its files are what the manifest says is not known yet: see checked.ts.
 */
export function lookUp(store: string, key: string): { manifest: Manifest; reason: string } | undefined {
  const remembered = readRemembered(rememberedPath(store, key));
  if (remembered === undefined || !holds(remembered)) return undefined;
  const directory = join(store, remembered.image);
  const manifestText = readIfThere(join(directory, MANIFEST_NAME));
  if (manifestText === undefined || sha256(manifestText) !== remembered.manifest) return undefined;
  // The hash says that this package wrote these bytes.
  const manifest = JSON.parse(manifestText) as Manifest;
  return hasFiles(directory, manifest) ? { manifest, reason: remembered.reason } : undefined;
}

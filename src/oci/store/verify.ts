/** Reads all that an image has in the store, and compares it with what it should be. */
import { rm } from 'node:fs/promises';
import { digestFile } from '../../image/store/copy.js';
import type { Digest } from '../../oci-names/digest.js';
import { SandboxError } from '../../util/errors.js';
import type { Descriptor } from '../manifest.js';
import { hasBlob, isIntact, readDocument } from './blobs.js';
import { manifestOfTag } from './list.js';
import type { Places } from './places.js';
import { whilePulling } from './pulling.js';
import { findRoot, recordedDigest } from './roots.js';
import type { Tag } from './tags.js';

export interface Damage {
  readonly path: string;
  /** As a part of a sentence behind the path: `is missing`. */
  readonly problem: string;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Remove what is damaged, so that the next pull fetches it, or makes it again. */
  readonly remove?: boolean | undefined;
}

/**
 * What is damaged of an image.
 * @throws {SandboxError} `aborted`, `store-not-writable`
 */
export async function verifyImage(places: Places, tag: Tag, options: VerifyOptions = {}): Promise<Damage[]> {
  const { signal, remove = false } = options;
  return whilePulling(places, signal, async () => {
    const damages = [
      ...documentsOf(places, tag),
      ...(await layersOf(places, tag, signal)),
      ...(await rootOf(places, tag)),
    ];
    if (remove) for (const { path } of damages) await rm(path, { recursive: true, force: true });
    return damages;
  });
}

function documentsOf(places: Places, { top, manifest, config }: Tag): Damage[] {
  return [...new Set([top, manifest, config])].flatMap((digest) => {
    const isGood = ignoringDamage(() => readDocument(places, digest)) !== undefined;
    return isGood ? [] : [{ path: places.blob(digest), problem: 'is missing or damaged' }];
  });
}

async function layersOf(places: Places, tag: Tag, signal: AbortSignal | undefined): Promise<Damage[]> {
  const layers = ignoringDamage(() => manifestOfTag(places, tag))?.layers ?? [];
  const damages = new Map<Digest, Damage>();
  for (const layer of layers) {
    const problem = damages.has(layer.digest) ? undefined : await blobProblem(places, layer, signal);
    if (problem !== undefined) damages.set(layer.digest, { path: places.blob(layer.digest), problem });
  }
  return [...damages.values()];
}

async function blobProblem(
  places: Places,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!hasBlob(places, layer)) return 'is missing, or has another size';
  return (await isIntact(places, layer, signal)) ? undefined : 'has another content';
}

async function rootOf(places: Places, tag: Tag): Promise<Damage[]> {
  const root = findRoot(places, tag.root);
  if (root === undefined) return [{ path: places.root(tag.root), problem: 'is missing, or has another size' }];
  const isGood = (await digestFile(root.path)) === recordedDigest(places, root);
  return isGood ? [] : [{ path: root.path, problem: 'has another content' }];
}

function ignoringDamage<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SandboxError) return undefined;
    throw error;
  }
}

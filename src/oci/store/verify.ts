/** Reads all that an image has in the store, and compares it with what it should be. */
import { rm } from 'node:fs/promises';
import { digestFile } from '../../image/store/copy.js';
import type { Digest } from '../../oci-names/digest.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import type { Descriptor } from '../manifest.js';
import { hasBlob, isIntact, readDocument } from './blobs.js';
import { manifestOfTag } from './list.js';
import { findRoot, recordedDigest, removeRoot } from './roots.js';
import { withExclusiveLock, withSharedLock } from './store-lock.js';
import type { StorePaths } from './store-paths.js';
import type { Tag } from './tags.js';

export interface Damage {
  readonly path: string;
  /** As a part of a sentence behind the path: `is missing`. */
  readonly problem: string;
}

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Remove what is damaged and not in use, so that the next pull fetches it, or makes it again. */
  readonly remove?: boolean | undefined;
  /** Called if what is damaged cannot be removed before others have ended their pulls. */
  readonly onWait?: (() => void) | undefined;
}

/** A file of an image, or a directory. */
interface Part {
  readonly path: string;
  /** What is wrong with it; undefined: nothing. */
  readonly problem: (signal: AbortSignal | undefined) => Promise<string | undefined>;
  /** @returns false: somebody uses it, and it stays */
  readonly remove: () => Promise<boolean>;
}

/**
 * What is damaged of an image. While it is read others may pull, who repair what they come across, and start sandboxes.
 * So what is to be removed is looked at again while nobody else has the store.
 * @throws {SandboxError} `aborted`, `store-not-writable`
 */
export async function verifyImage(paths: StorePaths, tag: Tag, options: VerifyOptions = {}): Promise<Damage[]> {
  const { signal, remove = false, onWait } = options;
  const damaged = await withSharedLock(paths, signal, () => problemsOf(partsOf(paths, tag), signal));
  if (!remove || damaged.length === 0) return damaged.map(({ damage }) => damage);
  return withExclusiveLock(paths, { signal, patience: Number.POSITIVE_INFINITY, onWait }, async () => {
    const still = await problemsOf(
      damaged.map(({ part }) => part),
      signal,
    );
    const damages: Damage[] = [];
    for (const { part, damage } of still) {
      const problem = (await part.remove()) ? damage.problem : `${damage.problem}; it is in use, and stays`;
      damages.push({ ...damage, problem });
    }
    return damages;
  });
}

async function problemsOf(
  parts: readonly Part[],
  signal: AbortSignal | undefined,
): Promise<{ readonly part: Part; readonly damage: Damage }[]> {
  const found: { readonly part: Part; readonly damage: Damage }[] = [];
  for (const part of parts) {
    const problem = await part.problem(signal);
    if (problem !== undefined) found.push({ part, damage: { path: part.path, problem } });
  }
  return found;
}

function partsOf(paths: StorePaths, tag: Tag): Part[] {
  const documents = new Set([tag.top, tag.manifest, tag.config]);
  const layers = new Map(
    (ignoringDamage(() => manifestOfTag(paths, tag))?.layers ?? []).map((one) => [one.digest, one]),
  );
  return [
    ...[...documents].map((digest) => documentPart(paths, digest)),
    ...[...layers.values()].map((layer) => layerPart(paths, layer)),
    rootPart(paths, tag),
  ];
}

function documentPart(paths: StorePaths, digest: Digest): Part {
  return {
    ...blobPart(paths, digest),
    problem: async () =>
      ignoringDamage(() => readDocument(paths, digest)) === undefined ? 'is missing or damaged' : undefined,
  };
}

function layerPart(paths: StorePaths, layer: Descriptor): Part {
  return {
    ...blobPart(paths, layer.digest),
    problem: async (signal) => {
      if (!hasBlob(paths, layer)) return 'is missing, or has another size';
      return (await isIntact(paths, layer, signal)) ? undefined : 'has another content';
    },
  };
}

function blobPart(paths: StorePaths, digest: Digest): Pick<Part, 'path' | 'remove'> {
  const path = paths.blob(digest);
  return {
    path,
    remove: async () => {
      await rm(path, { force: true });
      return true;
    },
  };
}

function rootPart(paths: StorePaths, tag: Tag): Part {
  return {
    path: findRoot(paths, tag.root)?.path ?? paths.root(tag.root),
    problem: async (signal) => {
      const root = findRoot(paths, tag.root);
      if (root === undefined) return 'is missing, or has another size';
      const digest = await digestOfRoot(root.path, signal);
      return digest === recordedDigest(paths, root) ? undefined : 'has another content';
    },
    remove: () => removeRoot(paths, tag.root),
  };
}

/** @throws {SandboxError} `aborted` */
async function digestOfRoot(path: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await digestFile(path, signal);
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}

function ignoringDamage<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SandboxError) return undefined;
    throw error;
  }
}

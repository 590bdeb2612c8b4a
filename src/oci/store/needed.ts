/**
 * What the names of the store need. What cannot be read needs something that nobody knows: a manifest is damaged, or
 * the record of a name is, or another version of this package has written it. Nothing that it may need is removed.
 */
import type { Digest } from '../../oci-names/digest.js';
import { SandboxError } from '../../util/errors.js';
import { parseStoredManifest } from '../manifest.js';
import { readDocument } from './blobs.js';
import type { StorePaths } from './store-paths.js';
import { readTags, type Tag } from './tags.js';

/** A file from which nobody learns what an image needs. */
export interface Unreadable {
  readonly path: string;
  /** The image whose manifest it is; undefined: it is the record of a name, and nobody knows of which. */
  readonly tag: Tag | undefined;
}

export interface Needed {
  /** Undefined: nobody knows. */
  readonly blobs: ReadonlySet<Digest> | undefined;
  /** Ids of file systems. Undefined: nobody knows. */
  readonly roots: ReadonlySet<string> | undefined;
  readonly unreadable: readonly Unreadable[];
}

/**
 * @param isGone true for names that count as removed
 * @param withoutUnreadable records that cannot be read count as removed
 * @throws the error of a system call
 */
export function neededIn(
  paths: StorePaths,
  isGone: (tag: Tag) => boolean = () => false,
  withoutUnreadable = false,
): Needed {
  const { tags, unreadable } = readTags(paths);
  const needing = tags.filter((tag) => !isGone(tag));
  const records = withoutUnreadable ? [] : unreadable.map((path) => ({ path, tag: undefined }));
  const damaged: Unreadable[] = [];
  const blobs = new Set<Digest>();
  for (const tag of needing) {
    const digests = blobsOf(paths, tag);
    if (digests === undefined) damaged.push({ path: paths.blob(tag.manifest), tag });
    for (const digest of digests ?? []) blobs.add(digest);
  }
  return {
    blobs: records.length + damaged.length > 0 ? undefined : blobs,
    roots: records.length > 0 ? undefined : new Set(needing.map(({ root }) => root)),
    unreadable: [...records, ...damaged],
  };
}

function blobsOf(paths: StorePaths, { top, manifest, config }: Tag): Digest[] | undefined {
  try {
    const { layers } = parseStoredManifest(readDocument(paths, manifest), manifest);
    return [top, manifest, config, ...layers.map(({ digest }) => digest)];
  } catch (error) {
    if (error instanceof SandboxError) return undefined;
    throw error;
  }
}

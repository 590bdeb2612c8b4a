/** Paths of entries: their parts, and what a part may mean to a layer. Names are bytes as characters of latin1. */
import { MOST_PART_BYTES, MOST_PATH_BYTES } from '../limits.js';
import { EntryError } from './errors.js';

/** Before the name of what a layer removes. */
export const WHITEOUT = '.wh.';
/** Before the names that AUFS keeps for itself. One of them means something to images. */
const AUFS = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';

export type Meaning =
  | { readonly kind: 'entry'; readonly directory: readonly string[]; readonly base: string }
  /** The root directory itself. */
  | { readonly kind: 'root' }
  /** Removes `base` of lower layers. */
  | { readonly kind: 'whiteout'; readonly directory: readonly string[]; readonly base: string }
  /** Hides all that lower layers have in the directory. */
  | { readonly kind: 'opaque'; readonly directory: readonly string[] }
  /** AUFS keeps it for itself: contents of hard links, which entries lead to by `path`. */
  | { readonly kind: 'hidden'; readonly path: string };

/**
 * The parts of a path in an image. A slash at its beginning means nothing: there is no other root.
 * @throws {EntryError} it leads out of the image, or is too long
 */
export function partsOf(path: string): string[] {
  if (path.length > MOST_PATH_BYTES) throw new EntryError(`has a path of more than ${MOST_PATH_BYTES} bytes`);
  if (path.includes('\0')) throw new EntryError('has a zero in its path');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  for (const part of parts) {
    if (part === '..') throw new EntryError('leads out of the image with ..');
    if (part.length > MOST_PART_BYTES) throw new EntryError(`has a name of more than ${MOST_PART_BYTES} bytes`);
  }
  return parts;
}

/**
 * What the name of an entry means: OCI image specification, layer.md.
 * @throws {EntryError} as {@link partsOf} does, and a whiteout of nothing
 */
export function meaningOf(path: string): Meaning {
  const parts = partsOf(path);
  const base = parts.pop();
  if (base === undefined) return { kind: 'root' };
  const hidden = (): Meaning => ({ kind: 'hidden', path: [...parts, base].join('/') });
  if (parts.some((part) => part.startsWith(AUFS))) return hidden();
  if (parts.some((part) => part.startsWith(WHITEOUT))) throw new EntryError('is below a whiteout');
  if (base === OPAQUE) return { kind: 'opaque', directory: parts };
  if (base.startsWith(AUFS)) return hidden();
  if (!base.startsWith(WHITEOUT)) return { kind: 'entry', directory: parts, base };
  const removed = base.slice(WHITEOUT.length);
  if (removed === '' || removed === '.' || removed === '..') throw new EntryError('removes nothing');
  return { kind: 'whiteout', directory: parts, base: removed };
}

/** What a file is, in a few letters: `sha256:…`, `md5:…`, `link:TARGET`, or `absent`. */
import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { unlessGone } from '../../sandbox/overlay/lower.js';
import { isSystemError } from '../../util/errors.js';
import { textOf } from '../../util/raw-text.js';
import type { HostTree } from './host-tree.js';

export type Algorithm = 'sha256' | 'md5';

/** Nothing is there, or it was removed. */
export const ABSENT = 'absent';
/** It is too large to be looked at or not to be read, or neither a file nor a link. */
export const OTHER = 'other';

/** Larger ones are data, which no package has. A guest can make files that seem to be larger than any disk. */
export const MOST_BYTES = 256 * 2 ** 20;
const CHUNK = 2 ** 20;

/** Of an entry of the directory that was entered last. A whiteout of overlayfs is absent. */
export function fingerprintOf(tree: HostTree, name: string, algorithm: Algorithm, most = MOST_BYTES): string {
  const found = tree.look(name);
  if (found === undefined || isWhiteout(found)) return ABSENT;
  if (found.isSymbolicLink()) {
    const target = unlessGone(() => readlinkSync(tree.call(name), { encoding: 'buffer' }));
    return target === undefined ? ABSENT : `link:${textOf(target)}`;
  }
  if (!found.isFile()) return OTHER;
  try {
    return unlessGone(() => digestOf(tree.call(name), algorithm, most)) ?? ABSENT;
  } catch (error) {
    // Services of other users than root have hosts that they cannot read all of.
    if (isSystemError(error, 'EACCES')) return OTHER;
    throw error;
  }
}

export function isWhiteout(found: BigIntStats): boolean {
  return found.isCharacterDevice() && found.rdev === 0n;
}

/** The algorithm of a fingerprint that is on record. */
export function algorithmOf(fingerprint: string | undefined): Algorithm {
  return fingerprint?.startsWith('md5:') ? 'md5' : 'sha256';
}

function digestOf(path: Buffer, algorithm: Algorithm, most: number): string {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const { size } = fstatSync(fd);
    if (!fstatSync(fd).isFile() || size > most) return OTHER;
    const hash = createHash(algorithm);
    const buffer = Buffer.alloc(Math.min(CHUNK, size + 1));
    for (let left = size; left > 0; ) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, left), null);
      if (read === 0) break;
      hash.update(buffer.subarray(0, read));
      left -= read;
    }
    return `${algorithm}:${hash.digest('hex')}`;
  } finally {
    closeSync(fd);
  }
}

/**
 * The store of images: where what is. Blobs have their digests as names, and file systems made of them the digest of the
 * layers, so that images share both.
 *
 *     blobs/sha256/HEX      manifests, configs and layers, as they came and checked
 *     partial/HEX           a layer of which some bytes are missing; a lock while somebody fetches it
 *     roots/ID/root.erofs   what layers are merged to; root.json beside it
 *     tags/HEX.json         which image a name means, pinned when it was pulled
 *     lock, turn, locks/    who pulls, who removes, which file systems are being removed
 */
import { chmodSync, lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { leaseDirectory } from '../../image/store/lease.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { type Digest, digestParts } from '../../oci-names/digest.js';
import { imageError } from '../../oci-names/errors.js';
import { makeDirectories, openToAll } from '../../util/directories.js';
import { isSystemError } from '../../util/errors.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { diskFull } from '../room.js';

/** Modes of the directory of file systems: closed to others, or passed through by them (readers.ts). */
const ROOTS_MODES: readonly number[] = [0o700, 0o711];

export class StorePaths {
  /** @param directory default: `oci` beside the boot images of this user */
  constructor(readonly directory = join(dirname(defaultStoreDirectory()), 'oci')) {}

  get blobs(): string {
    return join(this.directory, 'blobs');
  }

  get partials(): string {
    return join(this.directory, 'partial');
  }

  get roots(): string {
    return join(this.directory, 'roots');
  }

  get tags(): string {
    return join(this.directory, 'tags');
  }

  get locks(): string {
    return join(this.directory, 'locks');
  }

  /** Taken by all who pull, and by one who removes. */
  get lock(): string {
    return join(this.directory, 'lock');
  }

  /** Taken by one who waits for {@link lock} to remove, so that no further pull begins meanwhile. */
  get turn(): string {
    return join(this.directory, 'turn');
  }

  /** Is there, and locked, while somebody removes a file system: removal-mark.ts. @param id 64 hexadecimal digits */
  removalMark(id: string): string {
    return join(this.locks, `${id}.going`);
  }

  blob(digest: Digest): string {
    const { algorithm, digits } = digestParts(digest);
    return join(this.blobs, algorithm, digits);
  }

  partial(digest: Digest): string {
    return join(this.partials, digestParts(digest).digits);
  }

  /** @param id 64 hexadecimal digits */
  root(id: string): string {
    return join(this.roots, id);
  }

  /**
   * Makes the store. What is pulled may be for this user only, so nobody else reads anything in it, unless a QEMU of
   * another user has to: readers.ts.
   * @throws {SandboxError} `store-not-safe`, `store-not-writable`
   */
  make(): void {
    try {
      makeDirectories(this.directory, 0o755);
      this.refuseUnsafe();
      for (const [path, mode] of [
        [join(this.blobs, 'sha256'), 0o700],
        [join(this.blobs, 'sha512'), 0o700],
        [this.partials, 0o700],
        // Its names are those of the roots that are in use.
        [leaseDirectory(this.roots), 0o700],
        [this.tags, 0o700],
        [this.locks, 0o700],
      ] as const) {
        makeDirectories(path, mode);
        chmodSync(path, mode);
      }
      chmodSync(this.blobs, 0o700);
      // One that a QEMU may pass through stays so: it may be about to.
      if (!ROOTS_MODES.includes(lstatSync(this.roots).mode & 0o7777)) chmodSync(this.roots, 0o700);
      for (const path of [this.directory, dirname(this.directory)]) openToAll(path);
    } catch (error) {
      throw storeError(error, this.directory);
    }
  }

  /**
   * Refuses a store in which somebody else could change what is booted.
   * @throws {SandboxError} `store-not-safe`
   */
  refuseUnsafe(): void {
    if (lstatSync(this.directory, { throwIfNoEntry: false }) === undefined) return;
    const other = othersWhoMayReplace(this.directory);
    if (other === undefined) return;
    throw imageError(
      'store-not-safe',
      `images are not kept in ${this.directory}: ${other}`,
      'see that nobody but root and this user may write there, or set XDG_CACHE_HOME to such a directory',
    );
  }
}

/** The SandboxError of a failed system call on the store (`disk-full`, `store-not-writable`); any other error as it is. */
export function storeError(error: unknown, store: string): unknown {
  if (!isSystemError(error)) return error;
  if (isFull(error)) return diskFull(store, error);
  return imageError(
    'store-not-writable',
    `images cannot be kept in ${store} (${error.code}${error.path === undefined ? '' : ` at ${error.path}`})`,
    'make it a directory that this user may write to, or set XDG_CACHE_HOME to one',
    error,
  );
}

export function isFull(error: unknown): boolean {
  return isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT');
}

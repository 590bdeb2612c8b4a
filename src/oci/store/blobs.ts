/** Blobs of the store: fetched once, checked while they come, and there as a whole or not at all. */
import { lstatSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncToDisk } from '../../image/store/sync.js';
import { type Digest, DigestCheck, digestOf, digestParts } from '../../oci-names/digest.js';
import { digestWrong, imageError, sizeWrong } from '../../oci-names/errors.js';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { readRegularBytes } from '../../util/regular-files.js';
import { replaceFile } from '../../util/replace-file.js';
import { writeAll } from '../../util/write-all.js';
import { throwIfAborted } from '../cancel.js';
import { MOST_DOCUMENT_BYTES } from '../limits.js';
import { readRange } from '../local/open-file.js';
import { lockFile, withLock } from '../lock.js';
import type { Descriptor } from '../manifest.js';
import type { DocumentBytes, ImageSource } from '../source.js';
import { isFull, type StorePaths, storeError } from './store-paths.js';

/** True if the store has a blob, of the size that it should have. */
export function hasBlob(paths: StorePaths, { digest, size }: Descriptor): boolean {
  const found = lstatSync(paths.blob(digest), { throwIfNoEntry: false });
  return found?.isFile() === true && found.size === size;
}

/**
 * Puts a small document into the store. Its digest is known to be right.
 * @throws {SandboxError} `disk-full`, `store-not-writable`
 */
export async function putDocument(paths: StorePaths, { bytes, digest }: DocumentBytes): Promise<void> {
  const path = paths.blob(digest);
  try {
    if (lstatSync(path, { throwIfNoEntry: false })?.size === bytes.length && readDocument(paths, digest).equals(bytes))
      return;
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
  }
  try {
    await replaceFile(path, bytes, { mode: 0o444, flush: true });
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

/**
 * A small document of the store.
 * @throws {SandboxError} `store-damaged`: it is missing, or is not what its digest says
 */
export function readDocument(paths: StorePaths, digest: Digest): Buffer {
  let bytes: Buffer;
  try {
    bytes = readRegularBytes(paths.blob(digest), MOST_DOCUMENT_BYTES);
  } catch (error) {
    throw damaged(paths, digest, error);
  }
  if (digestOf(bytes, digestParts(digest).algorithm) !== digest) throw damaged(paths, digest, undefined);
  return bytes;
}

function damaged(paths: StorePaths, digest: Digest, cause: unknown): SandboxError {
  return imageError(
    'store-damaged',
    `the blob ${digest} in ${paths.directory} is missing or damaged`,
    'pull the image again',
    cause,
  );
}

/** The bytes of a blob that the store has. */
export async function* storedBlob(
  paths: StorePaths,
  { digest, size }: Descriptor,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const path = paths.blob(digest);
  const file = await open(path, 'r').catch((error: unknown) => {
    throw isSystemError(error, 'ENOENT') ? damaged(paths, digest, error) : storeError(error, paths.directory);
  });
  try {
    yield* readRange(file, { from: 0, to: size, path, piece: 1 << 20 }, signal);
  } finally {
    await file.close();
  }
}

/**
 * Whether the store has a blob that is what its digest says. All of it is read.
 * @throws {SandboxError} `aborted`, `store-not-writable`
 */
export async function isIntact(
  paths: StorePaths,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!hasBlob(paths, descriptor)) return false;
  const check = new DigestCheck(descriptor.digest);
  for await (const piece of storedBlob(paths, descriptor, signal)) check.update(piece);
  return check.finish().matches;
}

/**
 * Removes a blob if it is not what its digest says, so that it is fetched again.
 * @returns `store-damaged`: it is not there any more, or was fetched again by somebody else; undefined: it is good
 * @throws {SandboxError} `aborted`, `store-not-writable`
 */
export async function removeIfDamaged(
  paths: StorePaths,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<SandboxError | undefined> {
  const { digest } = descriptor;
  if (await isIntact(paths, descriptor, signal)) return undefined;
  const path = paths.partial(digest);
  // As one who fetches it: nobody else puts a good one there meanwhile.
  await withLock(path, 'exclusive', { signal }, async (file) => {
    if (!(await isIntact(paths, descriptor, signal))) await rm(paths.blob(digest), { force: true });
    if ((await file.stat()).size === 0) await rm(path, { force: true });
  });
  return damaged(paths, digest, undefined);
}

/** Bytes that are still to be fetched for the store to have some blobs. */
export function missingBytes(paths: StorePaths, blobs: readonly Descriptor[]): number {
  const missing = new Map(blobs.filter((blob) => !hasBlob(paths, blob)).map((blob) => [blob.digest, blob.size]));
  let bytes = 0;
  for (const [digest, size] of missing) {
    const there = lstatSync(paths.partial(digest), { throwIfNoEntry: false })?.size ?? 0;
    bytes += Math.max(0, size - there);
  }
  return bytes;
}

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that are there so far. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/**
 * Fetches a blob, unless the store has it. What an earlier fetch has left is gone on with; one that another process is
 * at is waited for.
 * @throws {SandboxError} `digest-wrong`, `blob-size-wrong`, `blob-truncated`, `disk-full`, `store-not-writable`,
 *   `aborted`, and those of the source
 */
export async function fetchBlob(
  paths: StorePaths,
  source: ImageSource,
  descriptor: Descriptor,
  options: FetchOptions = {},
): Promise<void> {
  const { digest, size } = descriptor;
  const path = paths.partial(digest);
  try {
    while (!hasBlob(paths, descriptor)) {
      const file = await lockFile(path, 'exclusive', options);
      // The process that had the lock has fetched it, or has given up.
      if (file === undefined) continue;
      try {
        await new Fetch(source, descriptor, file, path, options).run();
        await file.chmod(0o444);
        await file.sync();
        await rename(path, paths.blob(digest));
        await syncToDisk(dirname(paths.blob(digest)));
      } catch (error) {
        // Part of a blob on a full disk helps nobody, and none of one neither.
        if (isFull(error) || (await file.stat()).size === 0) await rm(path, { force: true });
        throw error;
      } finally {
        await file.close();
      }
    }
    options.onBytes?.(size);
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

class Fetch {
  constructor(
    private readonly source: ImageSource,
    private readonly descriptor: Descriptor,
    private readonly file: FileHandle,
    private readonly path: string,
    private readonly options: FetchOptions,
  ) {}

  async run(): Promise<void> {
    const { size } = this.descriptor;
    const there = (await this.file.stat()).size;
    if (there > 0 && there <= size && (await this.#from(there))) return;
    await this.file.truncate(0);
    if (await this.#from(0)) return;
    throw new Error('a blob that is fetched whole is right or an error');
  }

  /**
   * Fetches the bytes from an offset on.
   * @returns false: what was there before was damaged
   */
  async #from(start: number): Promise<boolean> {
    const { digest, size } = this.descriptor;
    const { signal, onBytes } = this.options;
    const what = `blob ${digest} of ${this.source.name}`;
    const check = new DigestCheck(digest);
    for await (const piece of readRange(this.file, { from: 0, to: start, path: this.path }, signal))
      check.update(piece);
    let at = start;
    if (at < size) {
      onBytes?.(at);
      for await (const piece of this.source.blob(this.descriptor, at, signal)) {
        throwIfAborted(signal);
        if (at + piece.length > size) {
          await this.#discard();
          throw sizeWrong(what, size, 'more came');
        }
        check.update(piece);
        await writeAll(this.file, piece, at);
        at += piece.length;
        onBytes?.(at);
      }
    }
    if (at < size)
      throw imageError(
        'blob-truncated',
        `${what} stops after ${at} of ${size} bytes`,
        'try again: it goes on where it stopped',
      );
    const { matches, actual } = check.finish();
    if (matches) return true;
    await this.#discard();
    if (start > 0) return false;
    throw digestWrong(what, digest, actual);
  }

  /** The file stays, since it is the lock. */
  async #discard(): Promise<void> {
    await this.file.truncate(0);
  }
}

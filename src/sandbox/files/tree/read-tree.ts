/** Reads a tree of the host, as the stream that the guest unpacks. */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { isSystemError } from '../../../util/errors.js';
import { bytesOf } from '../../../util/raw-text.js';
import { ContentReader } from './content.js';
import { Descent } from './descent.js';
import {
  encodeDirectory,
  encodeEnd,
  encodeFifo,
  encodeFile,
  encodeFileEnd,
  encodeHardLink,
  encodeLeave,
  encodeLink,
} from './encode.js';
import { SkippedRootError } from './errors.js';
import { MAX_DEPTH, SHRANK, SkipReason } from './format.js';
import { metaOf } from './meta.js';
import { SharedPaths } from './shared-paths.js';
import { reasonText, type Tally } from './tally.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** How much comes at a time, and of how many entries at most: others have their turn between. */
const CHUNK_BYTES = 131_072;
const STEPS = 256;

const NO_NAME = Buffer.alloc(0);

export class TreeReader {
  readonly #from: string;
  readonly #tally: Tally;
  #descent: Descent | undefined;
  /** Of each directory that was entered, what is still to be read; the next one is the last. */
  readonly #names: Buffer[][] = [];
  #content: ContentReader | undefined;
  readonly #shared = new SharedPaths();
  /** The numbers of files with several names that were sent, by device and inode. */
  readonly #sent = new Map<string, number>();
  #state: 'new' | 'inside' | 'done' = 'new';
  /** What it is at. */
  #name: Buffer = NO_NAME;
  #chunk: Buffer[] = [];
  #chunkBytes = 0;

  /** @param from a path of the host; a link is read as a link */
  constructor(from: string, tally: Tally) {
    this.#from = from;
    this.#tally = tally;
  }

  /** What it is at: a path of the host. */
  get where(): string {
    return this.#descent?.describe(this.#name) ?? this.#from;
  }

  /**
   * More of the stream. It may be empty: where a long hole is.
   * @returns undefined behind the end
   * @throws {SkippedRootError} if there is nothing that can be copied
   * @throws the error of a system call
   */
  next(): Buffer | undefined {
    if (this.#state === 'done') return undefined;
    for (let steps = 0; steps < STEPS && this.#chunkBytes < CHUNK_BYTES && this.#isIn(); steps += 1) this.#step();
    const chunk = Buffer.concat(this.#chunk);
    this.#chunk = [];
    this.#chunkBytes = 0;
    return chunk;
  }

  close(): void {
    this.#content?.close();
    this.#content = undefined;
    this.#descent?.close();
  }

  #isIn(): boolean {
    return this.#state !== 'done';
  }

  #put(...records: readonly Buffer[]): void {
    this.#chunk.push(...records);
    for (const { length } of records) this.#chunkBytes += length;
  }

  #step(): void {
    const names = this.#names.at(-1);
    if (this.#state === 'new') {
      this.#state = 'inside';
      this.#entry(NO_NAME);
    } else if (this.#content !== undefined) {
      this.#piece(this.#content);
    } else if (names === undefined) {
      this.#put(encodeEnd());
      this.#state = 'done';
    } else {
      const name = names.pop();
      if (name === undefined) this.#leave();
      else this.#entry(name);
    }
  }

  #entry(name: Buffer): void {
    this.#name = name;
    const path = this.#descent?.path(name) ?? bytesOf(this.#from);
    const found = this.#unlessVanished(() => lstatSync(path, { bigint: true }));
    if (found === undefined) return;
    if (found.isDirectory()) this.#directory(name);
    else if (found.isFile()) this.#fileOrName(path, name, found);
    else if (found.isSymbolicLink()) this.#link(path, name, found);
    else if (found.isFIFO()) this.#put(encodeFifo(name, metaOf(found)));
    else this.#skip(found.isSocket() ? SkipReason.SOCKET : SkipReason.DEVICE);
  }

  #directory(name: Buffer): void {
    if (this.#names.length >= MAX_DEPTH)
      throw Object.assign(new Error(`it is in more than ${MAX_DEPTH} directories`), { code: 'ELOOP' });
    const descent = this.#enter(name);
    if (descent === undefined) return;
    if (this.#names.length > 0) this.#shared.enter(name);
    this.#put(encodeDirectory(name, metaOf(fstatSync(descent.fd, { bigint: true }))));
    this.#name = NO_NAME;
    this.#names.push(namesIn(descent.path(NO_NAME)).sort((one, other) => Buffer.compare(other, one)));
    this.#tally.directories += 1;
  }

  #enter(name: Buffer): Descent | undefined {
    const descent = this.#descent;
    if (descent === undefined) {
      this.#descent = new Descent(this.#from);
      return this.#descent;
    }
    return this.#unlessVanished(() => {
      descent.enter(name);
      return descent;
    });
  }

  #leave(): void {
    this.#put(encodeLeave());
    this.#name = NO_NAME;
    this.#names.pop();
    this.#shared.leave();
    if (this.#names.length > 0) this.#descent?.leave();
  }

  #fileOrName(path: Buffer, name: Buffer, found: BigIntStats): void {
    const number = found.nlink > 1n ? this.#sent.get(identityOf(found)) : undefined;
    if (number === undefined) {
      this.#file(path, name);
      return;
    }
    this.#put(encodeHardLink(name, number));
    this.#tally.files += 1;
  }

  /** Whether further names of the file may follow. The root has none in its tree. */
  #isShared(name: Buffer, found: BigIntStats): boolean {
    const identity = identityOf(found);
    if (found.nlink === 1n || name.length === 0 || this.#sent.has(identity) || !this.#shared.add(name)) return false;
    this.#sent.set(identity, this.#shared.count - 1);
    return true;
  }

  #file(path: Buffer, name: Buffer): void {
    // Not waiting for the writer of a FIFO that has replaced it.
    const fd = this.#unlessVanished(() => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    if (fd === undefined) return;
    const found = fstatSync(fd, { bigint: true });
    if (!found.isFile()) {
      closeSync(fd);
      this.#skip(SkipReason.VANISHED);
      return;
    }
    const size = Number(found.size);
    this.#content = new ContentReader(fd, size, found.blocks * 512n < found.size);
    this.#put(encodeFile(name, metaOf(found), size, this.#isShared(name, found)));
    this.#tally.files += 1;
  }

  #piece(content: ContentReader): void {
    const next = content.next();
    if (next === 'hole') return;
    if (next !== undefined) {
      this.#put(next.record, next.bytes);
      this.#tally.bytes += next.bytes.length;
      return;
    }
    const hasShrunk = content.hasShrunk();
    if (hasShrunk) this.#tally.shrank(() => this.where);
    this.#put(encodeFileEnd(hasShrunk ? SHRANK : 0));
    this.#content = undefined;
    content.close();
  }

  #link(path: Buffer, name: Buffer, found: BigIntStats): void {
    const target = this.#unlessVanished(() => readlinkSync(path, { encoding: 'buffer' }));
    if (target === undefined) return;
    this.#put(encodeLink(name, metaOf(found), target));
    this.#tally.links += 1;
  }

  #skip(reason: number): void {
    if (this.#name.length === 0) throw new SkippedRootError(reasonText(reason));
    this.#tally.skip(() => this.where, reason);
  }

  /** Undefined, and skipped, for what was removed or replaced since its directory was read. */
  #unlessVanished<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      const hasVanished = VANISHED.some((code) => isSystemError(error, code));
      if (!hasVanished || this.#name.length === 0) throw error;
      this.#skip(SkipReason.VANISHED);
      return undefined;
    }
  }
}

/** Of a call that opens what was listed, or reads a link. */
const VANISHED = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EINVAL'];

/** Nothing is in a directory that was removed after it was opened. */
function namesIn(directory: Buffer): Buffer[] {
  try {
    return readdirSync(directory, { encoding: 'buffer' });
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** The content of files that may be mostly holes: packed without reading the holes, unpacked without writing them. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { packZstdStream } from '../../compression/zstd-pack-stream.js';
import { CHUNK_BYTES, isZero, readFully, SparseDigest } from '../../image/snapshot/digest.js';
import { nextData } from '../../image/snapshot/extents.js';
import { isSystemError } from '../../util/errors.js';
import { fileProblem, openRegular, UnreadableFile } from '../../util/regular-files.js';
import { createContentFile } from '../../util/selinux.js';
import { writeAll } from '../../util/write-all.js';

/** docs/decisions/0079-boot-images-in-registries.md */
const LEVEL = 3;

/** File systems have holes of whole blocks, and a guest leaves whole pages empty. */
const BLOCK_BYTES = 4096;

/** How a file is named by its content: SHA-256 of all bytes, or the digest of a sparse file. */
export type DigestKind = 'whole' | 'sparse';

/** What was read or written. */
export interface Content {
  /** Bytes, holes included. */
  readonly size: number;
  /** In hexadecimal digits. */
  readonly digest: string;
}

/** Calculates either digest of a file from its chunks. */
class ContentDigest {
  #size = 0;
  readonly #whole = createHash('sha256');
  readonly #sparse = new SparseDigest();

  constructor(private readonly kind: DigestKind) {}

  update(chunk: Buffer): void {
    if (this.kind === 'whole') this.#whole.update(chunk);
    else this.#sparse.update(chunk, this.#size);
    this.#size += chunk.length;
  }

  finish(): Content {
    const size = this.#size;
    return { size, digest: this.kind === 'whole' ? this.#whole.digest('hex') : this.#sparse.finish(size) };
  }
}

/** A file that was packed. */
export interface Packed {
  readonly content: Content;
  /** SHA-256 of the packed bytes, in hexadecimal digits, and their number. */
  readonly digest: string;
  readonly size: number;
}

/**
 * Packs a regular file into a new one, as one frame of Zstandard.
 * @throws {UnreadableFile} it is no regular file, or cannot be read
 * @throws {SandboxError} `zstd-missing`
 * @throws the error of a system call on the new file; the signal's reason
 */
export async function packFile(from: string, to: string, kind: DigestKind, signal?: AbortSignal): Promise<Packed> {
  signal?.throwIfAborted();
  const digest = new ContentDigest(kind);
  const chunks = async function* () {
    for await (const chunk of chunksOf(from)) {
      signal?.throwIfAborted();
      digest.update(chunk);
      yield chunk;
    }
  };
  const target = await open(to, 'wx', 0o600);
  const packed = createHash('sha256');
  let size = 0;
  try {
    for await (const piece of packZstdStream(chunks(), LEVEL)) {
      packed.update(piece);
      await writeAll(target, piece, size);
      size += piece.length;
    }
  } finally {
    await target.close();
  }
  return { content: digest.finish(), digest: packed.digest('hex'), size };
}

/** The chunks of a file, in order. Holes are not read. */
async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  const file = await openRegular(path).catch(throwUnreadable);
  try {
    const { size } = await file.stat();
    const zeros = Buffer.alloc(CHUNK_BYTES);
    let data = nextData(file.fd, 0);
    for (let position = 0; position < size; position += CHUNK_BYTES) {
      const end = Math.min(position + CHUNK_BYTES, size);
      if (data !== undefined && data < position) data = nextData(file.fd, position);
      if (data === undefined || data >= end) yield zeros.subarray(0, end - position);
      else {
        const chunk = Buffer.allocUnsafe(end - position);
        const length = await readFully(file, chunk, position).catch(throwUnreadable);
        yield chunk.subarray(0, length);
        // It has become shorter, and its digest says so.
        if (length < chunk.length) return;
      }
    }
  } finally {
    await file.close();
  }
}

function throwUnreadable(error: unknown): never {
  throw isSystemError(error) ? new UnreadableFile(fileProblem(error), { cause: error }) : error;
}

/**
 * Writes a new file for machines to read. Blocks of zeros become holes.
 * @param pieces of any length
 * @throws what `pieces` throws; the error of a system call
 */
export async function writeContent(pieces: AsyncIterable<Uint8Array>, to: string, kind: DigestKind): Promise<Content> {
  const digest = new ContentDigest(kind);
  createContentFile(to);
  const file = await open(to, 'r+');
  try {
    await file.chmod(0o600);
    let position = 0;
    for await (const chunk of inChunks(pieces)) {
      digest.update(chunk);
      for (const [start, end] of dataIn(chunk)) await writeAll(file, chunk.subarray(start, end), position + start);
      position += chunk.length;
    }
    await file.truncate(position);
  } finally {
    await file.close();
  }
  return digest.finish();
}

/** From where to where there is something else than blocks of zeros. */
function* dataIn(chunk: Buffer): Generator<readonly [start: number, end: number]> {
  if (isZero(chunk)) return;
  let start: number | undefined;
  for (let at = 0; at < chunk.length; at += BLOCK_BYTES) {
    if (!isZero(chunk.subarray(at, at + BLOCK_BYTES))) start ??= at;
    else if (start !== undefined) {
      yield [start, at];
      start = undefined;
    }
  }
  if (start !== undefined) yield [start, chunk.length];
}

/** The same bytes in pieces of {@link CHUNK_BYTES}; the last one may have fewer. A piece is good until the next. */
async function* inChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let length = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = Math.min(CHUNK_BYTES - length, piece.length - at);
      chunk.set(piece.subarray(at, at + taken), length);
      at += taken;
      length += taken;
      if (length < CHUNK_BYTES) continue;
      yield chunk;
      length = 0;
    }
  }
  if (length > 0) yield chunk.subarray(0, length);
}

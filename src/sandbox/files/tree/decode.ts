/** Reads the stream of a tree. A hostile guest may have sent it: nothing of it is taken before it is checked. */
import {
  MAX_DEPTH,
  MAX_EXTENT_BYTES,
  MAX_NAME_BYTES,
  MAX_TARGET_BYTES,
  MODE_BITS,
  SHRANK,
  SkipReason,
  type TreeMeta,
  TreeRecord,
  type TreeSink,
} from './format.js';
import { SharedPaths } from './shared-paths.js';

/** The stream is no tree. */
export class TreeFormatError extends Error {
  override readonly name = 'TreeFormatError';
}

/** After so many records others may have their turn. */
const RECORDS_IN_A_TURN = 128;

const META_BYTES = 14;
const REASONS: ReadonlySet<number> = new Set(Object.values(SkipReason));

/** The file whose extents come. */
interface OpenFile {
  readonly size: number;
  /** Where the last extent ends. */
  end: number;
}

export class TreeDecoder {
  readonly #sink: TreeSink;
  /** The beginning of a record whose rest is still to come. */
  #rest = Buffer.alloc(0);
  #depth = 0;
  #hasRoot = false;
  readonly #shared = new SharedPaths();
  #isDone = false;
  #file: OpenFile | undefined;
  /** Bytes of the extent that are still to come. */
  #left = 0;
  /** The sink is still at the last record. */
  #pending: Promise<void> | undefined;

  constructor(sink: TreeSink) {
    this.#sink = sink;
  }

  /**
   * Reads more of the stream. It pauses now and then: take all that it yields, and wait for what is a promise.
   * @throws {TreeFormatError} if this is no tree
   * @throws what the sink throws
   */
  *push(more: Buffer): Generator<Promise<void> | undefined> {
    const bytes = this.#rest.length === 0 ? more : Buffer.concat([this.#rest, more]);
    let at = 0;
    for (let count = 1; ; count += 1) {
      const size = this.#left > 0 ? this.#content(bytes.subarray(at)) : this.#record(bytes.subarray(at));
      if (size === 0) break;
      at += size;
      const pending = this.#pending;
      this.#pending = undefined;
      if (pending !== undefined || count % RECORDS_IN_A_TURN === 0) yield pending;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }

  /** The stream is over. @throws {TreeFormatError} if the tree is not whole */
  end(): void {
    if (!this.#isDone) throw new TreeFormatError('it ends before the tree does');
  }

  /** @returns how many bytes it took */
  #content(bytes: Buffer): number {
    const piece = bytes.subarray(0, this.#left);
    const file = this.#file;
    if (piece.length === 0 || file === undefined) return 0;
    this.#sink.extent(file.end - this.#left, piece);
    this.#left -= piece.length;
    return piece.length;
  }

  /** @returns the size of the record; 0 if it is not whole */
  #record(bytes: Buffer): number {
    const type = bytes[0];
    if (type === undefined) return 0;
    if (this.#isDone) throw new TreeFormatError('it goes on behind its end');
    const inFile = type === TreeRecord.EXTENT || type === TreeRecord.FILE_END;
    if (inFile !== (this.#file !== undefined)) throw new TreeFormatError(`record ${type} where it cannot be`);
    const size = sizeOf(type, bytes);
    if (size === undefined || bytes.length < size) return 0;
    if (inFile) this.#ofFile(type, bytes);
    else if (type === TreeRecord.LEAVE) this.#leave();
    else if (type === TreeRecord.END) this.#end();
    else this.#entry(type, bytes.subarray(0, size));
    return size;
  }

  #ofFile(type: number, bytes: Buffer): void {
    const file = this.#file;
    if (file === undefined) return;
    if (type === TreeRecord.EXTENT) {
      const [offset, length] = [bytes.readBigUInt64BE(1), bytes.readUInt32BE(9)];
      const isIn = offset >= file.end && offset + BigInt(length) <= file.size;
      if (!isIn || length === 0 || length > MAX_EXTENT_BYTES)
        throw new TreeFormatError('an extent that is not in its file');
      file.end = Number(offset) + length;
      this.#left = length;
      return;
    }
    const flags = bytes.readUInt8(1);
    if ((flags & ~SHRANK) !== 0) throw new TreeFormatError('unknown flags');
    this.#file = undefined;
    this.#sink.fileEnd(flags === SHRANK);
  }

  #leave(): void {
    if (this.#depth === 0) throw new TreeFormatError('it leaves a directory that it did not enter');
    this.#depth -= 1;
    this.#shared.leave();
    this.#sink.leave();
  }

  #end(): void {
    if (this.#depth > 0 || !this.#hasRoot) throw new TreeFormatError('it ends within the tree');
    this.#isDone = true;
  }

  /** @param record one that begins with a name */
  #entry(type: number, record: Buffer): void {
    const behindName = 2 + record.readUInt8(1);
    const name = record.subarray(2, behindName);
    this.#checkName(name);
    this.#hasRoot = true;
    if (type === TreeRecord.SKIPPED) {
      const reason = record.readUInt8(behindName);
      if (!REASONS.has(reason)) throw new TreeFormatError('an unknown reason');
      this.#sink.skipped(name, reason);
      return;
    }
    if (type === TreeRecord.HARD_LINK) {
      const number = record.readUInt32BE(behindName);
      // Only a directory has room for two names, so this is no root either.
      if (number >= this.#shared.count) throw new TreeFormatError('a name of a file that was not sent');
      this.#pending = this.#sink.hardLink(name, number);
      return;
    }
    const meta = metaOf(record.subarray(behindName));
    const payload = record.subarray(behindName + META_BYTES);
    if (type === TreeRecord.DIRECTORY) {
      if (this.#depth > 0) this.#shared.enter(name);
      this.#depth += 1;
      if (this.#depth > MAX_DEPTH) throw new TreeFormatError(`more than ${MAX_DEPTH} levels`);
      this.#sink.directory(name, meta);
    } else if (type === TreeRecord.FILE || type === TreeRecord.SHARED_FILE) {
      const size = Number(payload.readBigUInt64BE(0));
      if (!Number.isSafeInteger(size)) throw new TreeFormatError('a file that no host can hold');
      const isShared = type === TreeRecord.SHARED_FILE;
      if (isShared && this.#depth === 0) throw new TreeFormatError('a root with several names');
      if (isShared && !this.#shared.add(name)) throw new TreeFormatError('too many files with several names');
      this.#file = { size, end: 0 };
      this.#sink.file(name, meta, size, isShared);
    } else if (type === TreeRecord.LINK) {
      const target = payload.subarray(2);
      if (target.length === 0 || target.length > MAX_TARGET_BYTES || target.includes(0))
        throw new TreeFormatError('a link whose target is none');
      this.#sink.link(name, meta, target);
    } else this.#pending = this.#sink.fifo(name, meta);
  }

  /** A name is one component, so that no record leads out of the directory that it is in. */
  #checkName(name: Buffer): void {
    if (this.#depth === 0) {
      if (this.#hasRoot) throw new TreeFormatError('more than one tree');
      if (name.length > 0) throw new TreeFormatError('a root with a name');
      return;
    }
    if (!isComponent(name)) throw new TreeFormatError('a name that is no name');
  }
}

function isComponent(name: Buffer): boolean {
  if (name.length === 0 || name.length > MAX_NAME_BYTES || name.includes(0) || name.includes('/')) return false;
  return !name.equals(Buffer.from('.')) && !name.equals(Buffer.from('..'));
}

/** The size of a record without the bytes of an extent; undefined if too little of it is there. */
function sizeOf(type: number, bytes: Buffer): number | undefined {
  if (type === TreeRecord.LEAVE || type === TreeRecord.END) return 1;
  if (type === TreeRecord.FILE_END) return 2;
  if (type === TreeRecord.EXTENT) return 13;
  const more = MORE_BYTES[type];
  if (more === undefined) throw new TreeFormatError(`no record has the type ${type}`);
  const length = bytes[1];
  if (length === undefined) return undefined;
  const size = 2 + length + more;
  if (type !== TreeRecord.LINK) return size;
  return bytes.length < size ? undefined : size + bytes.readUInt16BE(size - 2);
}

/** What stands behind the name, for a link without its target. */
const MORE_BYTES: Readonly<Record<number, number>> = {
  [TreeRecord.DIRECTORY]: META_BYTES,
  [TreeRecord.FILE]: META_BYTES + 8,
  [TreeRecord.SHARED_FILE]: META_BYTES + 8,
  [TreeRecord.HARD_LINK]: 4,
  [TreeRecord.LINK]: META_BYTES + 2,
  [TreeRecord.FIFO]: META_BYTES,
  [TreeRecord.SKIPPED]: 1,
};

function metaOf(bytes: Buffer): TreeMeta {
  const [mode, seconds, nanoseconds] = [bytes.readUInt16BE(0), bytes.readBigInt64BE(2), bytes.readUInt32BE(10)];
  if ((mode & ~MODE_BITS) !== 0) throw new TreeFormatError('a mode with other bits than permissions');
  if (nanoseconds > 999_999_999) throw new TreeFormatError('a time with more nanoseconds than a second has');
  return { mode, seconds, nanoseconds };
}

/** Reads a tar archive entry by entry, in the order in which it comes. */
import { BLOCK, isZero, parseHeader, type RawHeader } from './header.js';
import { type PaxFields, parsePax, sparse } from './pax.js';
import { Pieces, TarError } from './pieces.js';

export type TarType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

const TYPES: Readonly<Record<string, TarType>> = {
  0: 'file',
  1: 'link',
  2: 'symlink',
  3: 'character',
  4: 'block',
  5: 'directory',
  6: 'fifo',
  // A contiguous file, which no system has any more.
  7: 'file',
  // A directory in GNU's incremental archives.
  D: 'directory',
};

/** Most bytes of a PAX header, or of a long name in the form of GNU tar. */
const MOST_EXTENSION_BYTES = 1 << 20;

export interface TarEntry extends Omit<RawHeader, 'flag'> {
  readonly type: TarType;
  /** Bytes of content; 0 for all but files. */
  readonly size: number;
  /** By name. Names and values are bytes as characters of latin1. */
  readonly xattrs: ReadonlyMap<string, string>;
  /** Of the content in the archive, in bytes. */
  readonly position: number;
}

const NO_XATTRS: ReadonlyMap<string, string> = new Map();

export class TarReader {
  readonly #pieces: Pieces;
  /** Bytes of the entry's content that were not read yet, and the padding behind them. */
  #content = 0;
  #padding = 0;
  #isAtEnd = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = new Pieces(source);
  }

  /**
   * The next entry; what is left of the one before is skipped. At the archive's end the rest of the stream is read.
   * @throws {TarError} the archive is damaged, cut off, or has what images do not have
   */
  async next(): Promise<TarEntry | undefined> {
    let pax: PaxFields = {};
    let long: { name?: string; link?: string } = {};
    for (;;) {
      const header = await this.#header();
      if (header === undefined) {
        if (pax.path !== undefined || long.name !== undefined) throw new TarError('is cut off');
        return undefined;
      }
      const { flag } = header;
      if (flag === 'x') pax = parsePax(await this.#extension(header));
      else if (flag === 'L') long = { ...long, name: untilZero(await this.#extension(header)) };
      else if (flag === 'K') long = { ...long, link: untilZero(await this.#extension(header)) };
      // For all entries that follow: a comment, mostly. Go's reader, which Docker has, does not apply it either.
      else if (flag === 'g' || flag === 'V') this.#expect(header.size);
      else return this.#entry(header, pax, long);
    }
  }

  /** The next piece of the entry's content; undefined at its end. */
  async piece(): Promise<Buffer | undefined> {
    if (this.#content === 0) return undefined;
    const piece = await this.#pieces.some(this.#content);
    if (piece === undefined) throw new TarError('is cut off');
    this.#content -= piece.length;
    return piece;
  }

  /** Reads the rest of the stream, whatever it is. */
  drain(): Promise<void> {
    return this.#pieces.drain();
  }

  /** Lets the source go before its end. */
  close(): Promise<void> {
    return this.#pieces.close();
  }

  async #header(): Promise<RawHeader | undefined> {
    if (this.#isAtEnd) return undefined;
    if (this.#content + this.#padding > 0) await this.#pieces.skip(this.#content + this.#padding);
    this.#expect(0);
    const block = await this.#pieces.exactly(BLOCK);
    if (block !== undefined && !isZero(block)) return parseHeader(block);
    // Two blocks of zeros are the end; some archivers write one or none. What follows is no part of the archive.
    const second = block === undefined ? undefined : await this.#pieces.exactly(BLOCK);
    if (second !== undefined && !isZero(second)) throw new TarError('has an empty header');
    this.#isAtEnd = true;
    await this.#pieces.drain();
    return undefined;
  }

  #expect(size: number): void {
    if (size < 0) throw new TarError('has a size that is none');
    this.#content = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  async #extension({ size }: RawHeader): Promise<Buffer> {
    if (size > MOST_EXTENSION_BYTES) throw new TarError(`has a header of more than ${MOST_EXTENSION_BYTES} bytes`);
    this.#expect(size);
    const data = size === 0 ? Buffer.alloc(0) : await this.#pieces.exactly(size);
    if (data === undefined) throw new TarError('is cut off');
    this.#content = 0;
    return Buffer.from(data);
  }

  #entry(header: RawHeader, pax: PaxFields, long: { name?: string; link?: string }): TarEntry {
    const { flag, mode, major, minor } = header;
    if (flag === 'S') throw sparse();
    const named = TYPES[flag];
    if (named === undefined) throw new TarError(`has an entry of the type ${JSON.stringify(flag)}, which is not known`);
    const name = pax.path ?? long.name ?? header.name;
    // Before there was a type for them, directories were files with a slash.
    const type = named === 'file' && name.endsWith('/') ? 'directory' : named;
    const size = type === 'file' ? (pax.size ?? header.size) : 0;
    // GNU's directories have a list of names behind them.
    this.#expect(flag === 'D' ? header.size : size);
    // Field by field: copying the rest of an object takes longer than all else here.
    return {
      type,
      name,
      mode,
      major,
      minor,
      link: pax.link ?? long.link ?? header.link,
      size,
      uid: pax.uid ?? header.uid,
      gid: pax.gid ?? header.gid,
      mtime: pax.mtime ?? header.mtime,
      xattrs: pax.xattrs ?? NO_XATTRS,
      position: this.#pieces.position,
    };
  }
}

function untilZero(data: Buffer): string {
  const end = data.indexOf(0);
  return data.toString('latin1', 0, end < 0 ? data.length : end);
}

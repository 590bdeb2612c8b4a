/** Reads an archive of a service member by member, and refuses each header in a form that GNU tar does not write. */
import { BLOCK, isZero, parseHeader, type RawHeader } from '../../oci/tar/header.js';
import { Pieces, TarError } from '../../oci/tar/pieces.js';
import { isSystemError, messageOf } from '../../util/errors.js';
import { notAnArchive, notReadable } from './errors.js';
import { type PaxFields, parsePax } from './pax.js';
import { readSparseMap, type SparseMap } from './sparse.js';

export type MemberType = 'file' | 'link' | 'symlink' | 'character' | 'directory' | 'fifo';

const TYPES: Readonly<Record<string, MemberType>> = {
  0: 'file',
  1: 'link',
  2: 'symlink',
  3: 'character',
  5: 'directory',
  6: 'fifo',
};

/** Bytes of a header of PAX: attributes of a file have 64 KiB each. */
const MOST_PAX_BYTES = 1 << 20;
/** Bytes of one file, with its holes. XFS has larger ones; no state needs them. */
const MOST_FILE_BYTES = 64 * 2 ** 40;
const MOST_MODE = 0o7777;
const POSIX = 'ustar\x0000';

/** Offsets and lengths of the fields with numbers: mode, owner, group, size, time. */
const NUMBERS = [
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
] as const;
/** Those of a device, which may be empty. */
const DEVICE = [
  [329, 8],
  [337, 8],
] as const;

/** What a stream begins with that is packed: zstd, gzip, xz, bzip2. */
const PACKED: readonly (readonly [program: string, magic: string])[] = [
  ['zstd', '28b52ffd'],
  ['gzip', '1f8b'],
  ['xz', 'fd377a585a00'],
  ['bzip2', '425a68'],
];

/** Names and values are bytes as characters of latin1. */
export interface Member {
  /** A directory's has no slash at its end. */
  readonly name: string;
  /** Of a hard or symbolic link; of others it is empty. */
  readonly link: string;
  readonly type: MemberType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the content in the archive. */
  readonly size: number;
  /** Of a file with holes. */
  readonly holes: SparseMap | undefined;
  /** Seconds since the epoch, with a fraction. */
  readonly mtime: string;
  /** Numbers of the device. */
  readonly device: readonly [major: number, minor: number];
  /** Values of its extended attributes by name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Texts by `access` and `default`. */
  readonly accessLists: ReadonlyMap<string, string>;
}

const NO_PAX: PaxFields = { attributes: new Map(), accessLists: new Map() };

export class Members {
  readonly #pieces: Pieces;
  readonly #archive: string;
  #left = 0;
  #isFirst = true;

  /**
   * @param archive its name, for errors
   * @param pass as of `Pieces`
   */
  constructor(source: AsyncIterable<Uint8Array>, archive: string, pass?: (bytes: number) => void) {
    this.#pieces = new Pieces(source, pass);
    this.#archive = archive;
  }

  /** Bytes that were read. */
  get position(): number {
    return this.#pieces.position;
  }

  /**
   * The next member; undefined at the archive's end, and then the stream has ended too.
   * @throws {SandboxError} `service-archive-invalid`
   */
  async next(): Promise<Member | undefined> {
    try {
      if (this.#left > 0) throw new Error('the member before was not read');
      const block = await this.#block();
      if (isZero(block)) return await this.#end();
      const header = parse(block);
      if (header.flag !== 'x') return await this.#member(header, NO_PAX);
      const pax = await this.#extension(header.size);
      return await this.#member(parse(await this.#block()), pax);
    } catch (error) {
      throw this.#reason(error);
    }
  }

  /** The next piece of the member's content, with what fills up its last block; undefined at its end. */
  async piece(): Promise<Buffer | undefined> {
    if (this.#left === 0) return undefined;
    try {
      const piece = await this.#pieces.some(this.#left);
      if (piece === undefined) throw new TarError('is cut off');
      this.#left -= piece.length;
      return piece;
    } catch (error) {
      throw this.#reason(error);
    }
  }

  /** Passes over the member's content. @throws {SandboxError} `service-archive-invalid` */
  async skip(): Promise<void> {
    try {
      await this.#pieces.skip(this.#left);
      this.#left = 0;
    } catch (error) {
      throw this.#reason(error);
    }
  }

  /** The content of a small file. @throws {SandboxError} `service-archive-invalid` */
  async text(name: string, most: number): Promise<string> {
    const member = await this.next();
    if (member?.name !== name || member.type !== 'file' || member.holes !== undefined)
      throw notAnArchive(this.#archive, `has ${JSON.stringify(member?.name ?? 'nothing')} where ${name} has to be`);
    if (member.size > most) throw notAnArchive(this.#archive, `has a ${name} of more than ${most} bytes`);
    const pieces: Buffer[] = [];
    for (let piece = await this.piece(); piece !== undefined; piece = await this.piece())
      pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces).toString('utf8', 0, member.size);
  }

  /** Lets the source go before its end. */
  close(): Promise<void> {
    return this.#pieces.close();
  }

  async #block(): Promise<Buffer> {
    const block = await this.#pieces.exactly(BLOCK);
    if (block === undefined) throw new TarError(this.#isFirst ? 'is empty' : 'is cut off');
    const magic = block.toString('hex', 0, 6);
    const packed = this.#isFirst ? PACKED.find(([, start]) => magic.startsWith(start)) : undefined;
    if (packed) throw new TarError(`is packed: unpack it first, with ${packed[0]} -dc FILE | … import - NAME`);
    this.#isFirst = false;
    return Buffer.from(block);
  }

  /** Two blocks of zeros are the end. What fills up a record behind them has nothing either. */
  async #end(): Promise<undefined> {
    for (let block: Buffer | undefined = await this.#block(); block; block = await this.#pieces.exactly(BLOCK))
      if (!isZero(block)) throw new TarError('goes on behind its end');
    return undefined;
  }

  async #extension(size: number): Promise<PaxFields> {
    if (size === 0 || size > MOST_PAX_BYTES) throw new TarError(`has a header of ${size} bytes`);
    const data = await this.#pieces.exactly(padded(size));
    if (data === undefined) throw new TarError('is cut off');
    const pax = parsePax(data.subarray(0, size));
    if (typeof pax === 'string') throw new TarError(pax);
    return pax;
  }

  async #member(header: RawHeader, pax: PaxFields): Promise<Member> {
    const { flag, mode, major, minor } = header;
    const { realSize, attributes, accessLists } = pax;
    const type = TYPES[flag];
    if (type === undefined) throw new TarError(`has a member of the type ${JSON.stringify(flag)}`);
    const written = pax.path ?? header.name;
    const name = type === 'directory' ? written.replace(/\/$/, '') : written;
    const size = pax.size ?? header.size;
    if (type !== 'file' && (size !== 0 || realSize !== undefined))
      throw new TarError(`has ${JSON.stringify(name)}, no file, with a content`);
    if (Math.max(size, realSize ?? 0) > MOST_FILE_BYTES) throw new TarError('has a file that is too large');
    if (mode > MOST_MODE) throw new TarError(`has ${JSON.stringify(name)} with the mode 0${mode.toString(8)}`);
    const sparse = realSize === undefined ? undefined : await readSparseMap(() => this.#block(), size, realSize);
    const left = sparse?.left ?? size;
    this.#left = padded(left);
    return {
      ...{ name, type, mode, attributes, accessLists, size: left, holes: sparse?.map, device: [major, minor] },
      link: type === 'link' || type === 'symlink' ? (pax.link ?? header.link) : '',
      uid: pax.uid ?? header.uid,
      gid: pax.gid ?? header.gid,
      mtime: pax.mtime ?? String(header.mtime),
    };
  }

  #reason(error: unknown): unknown {
    if (error instanceof TarError) return notAnArchive(this.#archive, error.message, error);
    return isSystemError(error) ? notReadable(this.#archive, messageOf(error), error) : error;
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** @throws {TarError} it is in another form than that of POSIX, or a number is in another form than that of GNU tar */
function parse(block: Buffer): RawHeader {
  if (block.toString('latin1', 257, 265) !== POSIX) throw new TarError('is no tar archive in the form of POSIX');
  const digits = ([at, width]: readonly [number, number]) => block.toString('latin1', at, at + width);
  if (
    !NUMBERS.every((field) => /^[0-7]+\0$/.test(digits(field))) ||
    !DEVICE.every((field) => /^(?:[0-7]+\0|\0+)$/.test(digits(field)))
  )
    throw new TarError('has a number that is not octal');
  return parseHeader(block);
}

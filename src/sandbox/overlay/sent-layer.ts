/**
 * An upper layer as a program of the init sends it (`layer`: docs/protocol.md), kept in memory. A guest may send
 * anything: what is no tree is a ProtocolError, and what is too large or too deep a SandboxError.
 */
import { FieldReader, ProtocolError } from '../../protocol/fields.js';
import type { IdMap, IdRange } from '../../protocol/operations.js';
import { textOf } from '../../util/raw-text.js';
import { RecordParser } from '../files/record-parser.js';
import { costOf, type Entry, MOST_DEPTH, type Origin, type Room, tooDeep, type UpperLayer, WHITEOUT } from './layer.js';

const MOST_NAME_BYTES = 255;
const MOST_TARGET_BYTES = 4096;
/** What an entry takes in memory besides its texts. */
const ENTRY_BYTES = 400;

interface SentFile {
  readonly entry: Entry | typeof WHITEOUT;
  /** Of a link where it leads, of a directory its mark: a byte a letter. */
  readonly target: string;
  /** Undefined: no directory. */
  readonly below: Map<string, SentFile> | undefined;
}

/** Makes a tree of the stream. */
export class LayerReader {
  readonly #parser = new RecordParser();
  readonly #room: Room;
  readonly #ids: IdMap | undefined;
  readonly #top: Map<string, SentFile> = new Map();
  /** The directories that are not complete, and their names. */
  readonly #open: { readonly name: string; readonly below: Map<string, SentFile> }[] = [{ name: '', below: this.#top }];

  /** @param ids owners of the layer are those outside; default: as they are */
  constructor(room: Room, ids?: IdMap) {
    this.#room = room;
    this.#ids = ids;
  }

  /** @throws {ProtocolError} {SandboxError} */
  push(chunk: Uint8Array): void {
    for (const record of this.#parser.push(chunk)) this.#take(record);
  }

  /** @throws {ProtocolError} if something is missing */
  end(): UpperLayer {
    this.#parser.end();
    if (this.#open.length > 0) throw new ProtocolError('the layer ends in the middle of a directory');
    return new SentLayer(this.#top);
  }

  #take(record: Buffer): void {
    const above = this.#open.at(-1);
    if (above === undefined) throw new ProtocolError('more behind the end of the layer');
    const { name, file } = fileIn(record, this.#ids);
    if (name === '') {
      this.#open.pop();
      return;
    }
    this.#room.take(costOf(name) + costOf(file.target) + ENTRY_BYTES);
    above.below.set(name, file);
    if (file.below === undefined) return;
    if (this.#open.length > MOST_DEPTH) throw tooDeep(this.#open.map((each) => textOf(bytes(each.name))).join('/'));
    this.#open.push({ name, below: file.below });
  }
}

function bytes(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** An empty name: the end of a directory. */
function fileIn(record: Buffer, ids: IdMap | undefined): { name: string; file: SentFile } {
  const reader = new FieldReader(record);
  const name = nameIn(reader.bytes());
  const mode = reader.u32();
  const [uid, gid] = [insideOf(reader.u32(), ids?.uids), insideOf(reader.u32(), ids?.gids)];
  const size = reader.u64();
  const mtimeNs = BigInt.asIntN(64, reader.u64()) * 1_000_000_000n + BigInt(reader.u32());
  const target = reader.bytes();
  reader.end();
  if (target.length > MOST_TARGET_BYTES || target.includes(0)) throw new ProtocolError('a link to what is no path');
  const entry = mode === 0 ? WHITEOUT : { mode: BigInt(mode), uid: BigInt(uid), gid: BigInt(gid), size, mtimeNs };
  const isDirectory = (mode & S_IFMT) === S_IFDIR;
  return { name, file: { entry, target: target.toString('latin1'), below: isDirectory ? new Map() : undefined } };
}

function nameIn(name: Buffer): string {
  const text = name.toString('latin1');
  if (name.length > MOST_NAME_BYTES || name.includes(0) || text.includes('/') || text === '.' || text === '..')
    throw new ProtocolError(`an entry with the name ${JSON.stringify(text.slice(0, MOST_NAME_BYTES))}`);
  return text;
}

function insideOf(id: number, ranges: readonly IdRange[] = []): number {
  const range = ranges.find(({ outside, count }) => id >= outside && id - outside < count);
  return range === undefined ? id : range.inside + (id - range.outside);
}

class SentLayer implements UpperLayer {
  readonly #way: SentFile[];

  constructor(top: Map<string, SentFile>) {
    this.#way = [{ entry: WHITEOUT, target: '', below: top }];
  }

  get #below(): Map<string, SentFile> {
    return this.#way.at(-1)?.below ?? new Map();
  }

  names(take: (name: string) => void): void {
    for (const name of this.#below.keys()) take(name);
  }

  look(name: string): Entry | typeof WHITEOUT | undefined {
    return this.#below.get(name)?.entry;
  }

  target(name: string): string | undefined {
    return this.#below.get(name)?.target;
  }

  enter(name: string): boolean {
    const file = this.#below.get(name);
    if (file?.below === undefined) return false;
    this.#way.push(file);
    return true;
  }

  leave(): void {
    this.#way.pop();
  }

  origin(): Origin {
    const mark = this.#way.at(-1)?.target ?? '';
    if (mark === '') return 'same';
    return mark === '.' ? 'none' : { redirect: bytes(mark) };
  }
}

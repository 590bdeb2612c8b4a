/** The stream of `pack` and `unpack`, written and read without the launcher's code: docs/protocol.md has the format. */
import assert from 'node:assert/strict';

export const RECORD = {
  DIRECTORY: 1,
  LEAVE: 2,
  FILE: 3,
  EXTENT: 4,
  FILE_END: 5,
  LINK: 6,
  FIFO: 7,
  SKIPPED: 8,
  END: 9,
  SHARED_FILE: 10,
  HARD_LINK: 11,
} as const;

type Name = string | Buffer;

export interface Meta {
  readonly mode?: number;
  readonly seconds?: bigint;
  readonly nanoseconds?: number;
}

function numbers(...pairs: readonly (readonly [value: number | bigint, bytes: number])[]): Buffer {
  return Buffer.concat(
    pairs.map(([value, bytes]) => {
      const all = Buffer.alloc(8);
      all.writeBigUInt64BE(BigInt.asUintN(64, BigInt(value)));
      return all.subarray(8 - bytes);
    }),
  );
}

function named(type: number, name: Name): Buffer {
  const bytes = Buffer.from(name);
  return Buffer.concat([numbers([type, 1], [bytes.length, 1]), bytes]);
}

function entry(type: number, name: Name, { mode = 0o755, seconds = 1_700_000_000n, nanoseconds = 5000 }: Meta): Buffer {
  return Buffer.concat([named(type, name), numbers([mode, 2], [seconds, 8], [nanoseconds, 4])]);
}

export const leave = Buffer.of(RECORD.LEAVE);
export const end = Buffer.of(RECORD.END);

export function directory(name: Name, meta: Meta = {}): Buffer {
  return entry(RECORD.DIRECTORY, name, meta);
}

export function extent(offset: number | bigint, bytes: Name, length = Buffer.from(bytes).length): Buffer {
  return Buffer.concat([numbers([RECORD.EXTENT, 1], [offset, 8], [length, 4]), Buffer.from(bytes)]);
}

export function fileEnd(flags = 0): Buffer {
  return Buffer.of(RECORD.FILE_END, flags);
}

export function fileBegin(name: Name, size: number | bigint, meta: Meta = {}, type: number = RECORD.FILE): Buffer {
  return Buffer.concat([entry(type, name, { mode: 0o644, ...meta }), numbers([size, 8])]);
}

/** A file of one extent. */
export function file(name: Name, content: Name, meta: Meta = {}, type: number = RECORD.FILE): Buffer {
  const bytes = Buffer.from(content);
  const extents = bytes.length === 0 ? [] : [extent(0, bytes)];
  return Buffer.concat([fileBegin(name, bytes.length, meta, type), ...extents, fileEnd()]);
}

/** A file of one extent, which may have further names. */
export function sharedFile(name: Name, content: Name, meta: Meta = {}): Buffer {
  return file(name, content, meta, RECORD.SHARED_FILE);
}

export function hardLink(name: Name, number: number): Buffer {
  return Buffer.concat([named(RECORD.HARD_LINK, name), numbers([number, 4])]);
}

export function link(name: Name, target: Name, meta: Meta = {}): Buffer {
  const bytes = Buffer.from(target);
  return Buffer.concat([entry(RECORD.LINK, name, { mode: 0o777, ...meta }), numbers([bytes.length, 2]), bytes]);
}

export function fifo(name: Name, meta: Meta = {}): Buffer {
  return entry(RECORD.FIFO, name, meta);
}

export function skipped(name: Name, reason: number): Buffer {
  return Buffer.concat([named(RECORD.SKIPPED, name), Buffer.of(reason)]);
}

/** What a stream says of one entry. */
export interface Said {
  readonly type: number;
  readonly mode: number;
  readonly time: bigint;
  /** The target of a link; the content of a file, with its holes. */
  readonly content: Buffer;
  /** Offset and length of each extent. */
  readonly extents: readonly (readonly [number, number])[];
  /** Flags of a file's end, reason of what is skipped, number of the file of a hard link. */
  readonly flags: number;
}

/** The entries of a whole stream by their paths; the root has the path ''. Latin-1, so that each byte counts. */
export function parse(stream: Buffer): Map<string, Said> {
  let at = 0;
  const path: string[] = [];
  const entries = new Map<string, Said>();
  const number = (bytes: number) => {
    at += bytes;
    return bytes === 8 ? stream.readBigInt64BE(at - 8) : BigInt(stream.readUIntBE(at - bytes, bytes));
  };
  const bytes = (size: bigint) => {
    at += Number(size);
    assert.ok(at <= stream.length);
    return stream.subarray(at - Number(size), at);
  };
  for (;;) {
    const type = Number(number(1));
    if (type === RECORD.END) break;
    if (type === RECORD.LEAVE) {
      assert.ok(path.length > 0);
      path.pop();
      continue;
    }
    const name = bytes(number(1)).toString('latin1');
    const whole = [...path.slice(1), ...(name === '' ? [] : [name])].join('/');
    assert.equal(name === '', entries.size === 0);
    assert.ok(!entries.has(whole));
    if (type === RECORD.SKIPPED) {
      entries.set(whole, { type, mode: 0, time: 0n, content: Buffer.alloc(0), extents: [], flags: Number(number(1)) });
      continue;
    }
    if (type === RECORD.HARD_LINK) {
      entries.set(whole, { type, mode: 0, time: 0n, content: Buffer.alloc(0), extents: [], flags: Number(number(4)) });
      continue;
    }
    const mode = Number(number(2));
    const time = number(8) * 1_000_000_000n + number(4);
    let content = Buffer.alloc(0);
    const extents: [number, number][] = [];
    let flags = 0;
    if (type === RECORD.LINK) content = Buffer.from(bytes(number(2)));
    else if (type === RECORD.FILE || type === RECORD.SHARED_FILE) {
      content = Buffer.alloc(Number(number(8)));
      let next = Number(number(1));
      for (; next === RECORD.EXTENT; next = Number(number(1))) {
        const offset = Number(number(8));
        const data = bytes(number(4));
        data.copy(content, offset);
        extents.push([offset, data.length]);
      }
      assert.equal(next, RECORD.FILE_END);
      flags = Number(number(1));
    } else if (type === RECORD.DIRECTORY) path.push(name);
    else assert.equal(type, RECORD.FIFO);
    entries.set(whole, { type, mode, time, content, extents, flags });
  }
  assert.equal(at, stream.length);
  assert.deepEqual(path, []);
  return entries;
}

/** The formats that libraries unpack: damage is an error, what is packed comes back, and what follows is left alone. */
import assert from 'node:assert/strict';
import { FORMATS, type FormatName, pack, unpack, unpackPart } from '../../../src/compression/formats.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import { Input } from './support/input.js';
import type { Target } from './support/target.js';

/** Bytes that may come out: more than an output begins with, and few, since a bomb takes milliseconds for a MiB. */
const LIMIT = 1 << 17;
/** The others have targets of their own. */
const NAMES = ['gzip', 'xz', 'zstd', 'lzma', 'bzip2'] as const satisfies readonly FormatName[];

export const target: Target = {
  kind: 'async',
  mostBytes: 1024,
  quickRuns: 800,
  async read(data) {
    const input = new Input(data);
    const name = NAMES[input.choice(NAMES.length)] ?? 'gzip';
    const way = input.choice(16);
    const rest = input.rest();
    // xz takes tens of milliseconds to begin, whatever it packs.
    const isPacked = name !== 'xz' || rest.length % 16 === 0;
    if (way === 0 && isPacked && name !== 'lzma' && name !== 'bzip2') await comesBack(name, rest);
    else if (way === 1 && name !== 'lzma' && name !== 'bzip2') await unpackAll(name, rest);
    else await unpackSome(name, Buffer.concat([Buffer.from(FORMATS[name].magic), rest]));
  },
};

async function comesBack(name: 'gzip' | 'xz' | 'zstd', content: Buffer): Promise<void> {
  const packed = await pack(content, name);
  assert.ok((await unpack(packed, name, content.length, LIMIT)).equals(content));
  const { data, used } = await unpackPart(Buffer.concat([packed, Buffer.alloc(8)]), name, LIMIT);
  assert.ok(data.equals(content));
  assert.equal(used, packed.length);
}

async function unpackAll(name: 'gzip' | 'xz' | 'zstd', data: Buffer): Promise<void> {
  const unpacked = await settledOrRefused(unpack(data, name, undefined, LIMIT), Error, RangeError, SandboxError);
  assert.ok((unpacked?.length ?? 0) <= LIMIT);
}

async function unpackSome(name: FormatName, data: Buffer): Promise<void> {
  const part = await settledOrRefused(unpackPart(data, name, LIMIT), Error, RangeError, SandboxError);
  assert.ok((part?.data.length ?? 0) <= LIMIT);
  assert.ok((part?.used ?? 0) <= data.length);
}

/** Packing zstd as a stream. The judge is the zstd program, and our own unpacking. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { unpackStream } from '../../../src/compression/stream.js';
import { packZstdStream } from '../../../src/compression/zstd-pack-stream.js';

async function* inPieces(content: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += length) yield content.subarray(at, at + length);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

const byProgram = (packed: Buffer) => execFileSync('zstd', ['-dqc'], { input: packed, maxBuffer: 1 << 30 });

describe('a packed zstd stream', () => {
  const data = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(5_000_000, 'abc'), randomBytes(1000)]);

  it('is what the zstd program and the unpacker read, in pieces of any length', async () => {
    for (const length of [999, 65_536, 1 << 20, data.length]) {
      const packed = await collect(packZstdStream(inPieces(data, length), 3));
      assert.ok(byProgram(packed).equals(data), `by the program, in pieces of ${length}`);
      assert.ok((await collect(unpackStream(inPieces(packed, 7000), 'zstd'))).equals(data), `pieces of ${length}`);
    }
  });

  it('is the same for the same pieces', async () => {
    const pack = () => collect(packZstdStream(inPieces(data, 1 << 20), 3));
    assert.ok((await pack()).equals(await pack()));
  });

  it('is a frame also of nothing', async () => {
    const packed = await collect(packZstdStream(inPieces(Buffer.alloc(0), 1), 3));
    assert.equal(packed.readUInt32LE(0), 0xfd2fb528);
    assert.equal(byProgram(packed).length, 0);
  });

  it('packs 256 MiB of zeros, as holes are read, into some KiB', async () => {
    const zeros = Buffer.alloc(1 << 20);
    const source = async function* () {
      for (let piece = 0; piece < 256; piece += 1) yield zeros;
    };
    const packed = await collect(packZstdStream(source(), 3));
    assert.ok(packed.length < 64 << 10, `${packed.length} bytes`);
    let length = 0;
    for await (const piece of unpackStream(inPieces(packed, 1 << 20), 'zstd')) length += piece.length;
    assert.equal(length, 256 << 20);
  });

  it('has a checksum, which tells of damage', async () => {
    const packed = await collect(packZstdStream(inPieces(data, 1 << 20), 3));
    // Within the random bytes, which are stored as they are: nothing else would notice.
    packed[1_000_000] = (packed[1_000_000] ?? 0) ^ 1;
    await assert.rejects(collect(unpackStream(inPieces(packed, 1 << 20), 'zstd')), /checksum/);
  });

  it('packs tighter at a higher level', async () => {
    const text = Buffer.from(Array.from({ length: 200_000 }, (_, at) => `${at * 7919} `).join(''));
    const size = async (level: number) => (await collect(packZstdStream(inPieces(text, 1 << 20), level))).length;
    assert.ok((await size(15)) < (await size(1)));
  });

  it('fails as its source does, and may be left early', async () => {
    const failing = async function* () {
      yield randomBytes(2 << 20);
      throw new RangeError('source');
    };
    await assert.rejects(collect(packZstdStream(failing(), 3)), RangeError);
    for await (const piece of packZstdStream(inPieces(data, 1 << 20), 3)) {
      assert.ok(piece.length > 0);
      break;
    }
  });

  it('runs several at once', async () => {
    const packed = await Promise.all([1, 2, 3, 4].map(() => collect(packZstdStream(inPieces(data, 300_000), 1))));
    for (const one of packed) assert.ok(byProgram(one).equals(data));
  });
});

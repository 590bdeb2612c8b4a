/** Unpacking streams. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { streamFormat, unpackStream } from '../../../src/compression/stream.js';

const data = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000, 'abc'), randomBytes(1000)]);
const PACK = {
  none: (content: Buffer) => content,
  gzip: (content: Buffer) => gzipSync(content),
  zstd: (content: Buffer) => execFileSync('zstd', ['-qc'], { input: content, maxBuffer: 1 << 30 }),
} as const;

async function* inPieces(content: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += length) yield content.subarray(at, at + length);
}

async function unpacked(source: AsyncIterable<Uint8Array>, format: keyof typeof PACK): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of unpackStream(source, format)) pieces.push(piece);
  return Buffer.concat(pieces);
}

for (const format of ['none', 'gzip', 'zstd'] as const) {
  describe(`a stream of ${format}`, () => {
    const packed = PACK[format](data);

    it('is known by its first bytes, and unpacked', async () => {
      assert.equal(streamFormat(packed.subarray(0, 8)), format);
      for (const length of [7000, 1 << 20])
        assert.deepEqual(await unpacked(inPieces(packed, length), format), data, `${length}`);
      if (format !== 'none')
        assert.ok((await unpacked(inPieces(PACK[format](Buffer.alloc(0)), 3), format)).length === 0);
    });

    it('may have several parts', async () => {
      const twice = Buffer.concat([packed, packed]);
      assert.deepEqual(await unpacked(inPieces(twice, 65_536), format), Buffer.concat([data, data]));
    });

    it('may have many small parts in one piece, as layers have them for each of their files', async () => {
      const parts = Array.from({ length: 20 }, (_, at) => Buffer.alloc(at * 50, `${at}`));
      const small = Buffer.concat(parts.map((part) => PACK[format](part)));
      for (const length of [7, small.length])
        assert.deepEqual(await unpacked(inPieces(small, length), format), Buffer.concat(parts), `${length}`);
    });

    it('may end where a piece of output does', async () => {
      for (const size of [1 << 20, 3 << 20]) {
        const content = Buffer.alloc(size, 'abc');
        assert.deepEqual(await unpacked(inPieces(PACK[format](content), 1 << 20), format), content);
      }
    });

    it('fails as its source does', async () => {
      const failing = async function* () {
        yield packed.subarray(0, 1000);
        throw new RangeError('source');
      };
      await assert.rejects(unpacked(failing(), format), RangeError);
    });

    it('lets its source go when nobody reads on', async () => {
      let closed = 0;
      const source = async function* () {
        try {
          for (;;) yield packed.subarray(0, 200_000);
        } finally {
          closed += 1;
        }
      };
      for await (const _piece of unpackStream(source(), format)) break;
      assert.equal(closed, 1);
    });

    if (format === 'none') return;
    it('that is cut off or damaged is refused', async () => {
      await assert.rejects(unpacked(inPieces(packed.subarray(0, -1), 65_536), format));
      await assert.rejects(unpacked(inPieces(packed.subarray(0, 1000), 65_536), format));
      const damaged = Buffer.from(packed);
      damaged.fill(0xff, 1000, 3000);
      await assert.rejects(unpacked(inPieces(damaged, 65_536), format));
      await assert.rejects(unpacked(inPieces(Buffer.from('no such data, and long enough'), 65_536), format));
    });
  });
}

it('frames of zstd that may be skipped are', async () => {
  // RFC 8878, 3.1.2: a magic number, a length of four bytes, and content that means nothing.
  const skipped = Buffer.concat([Buffer.from('502a4d18', 'hex'), Buffer.from([5, 0, 0, 0]), Buffer.from('table')]);
  const packed = Buffer.concat([PACK.zstd(Buffer.from('a')), skipped, PACK.zstd(Buffer.from('b')), skipped]);
  for (const length of [3, 1000])
    assert.equal((await unpacked(inPieces(packed, length), 'zstd')).toString(), 'ab', `${length}`);
});

it('other formats are not unpacked as streams', () => {
  assert.equal(streamFormat(Buffer.from('fd377a585a000000', 'hex')), undefined);
  assert.equal(streamFormat(Buffer.from('BZh91AY&')), undefined);
});

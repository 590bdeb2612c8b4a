/** lzop files and LZO1X blocks, which are decoded by code of this project. */
import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import { unpackLzo1x } from '../../../src/compression/lzo1x.js';
import { unpackLzop, unpackLzopPart } from '../../../src/compression/lzop.js';
import { MAGIC } from '../../../src/compression/magic.js';
import { valueOrRefusal } from './support/expect.js';
import { Input } from './support/input.js';
import type { Target } from './support/target.js';

const LIMIT = 1 << 20;

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A header without flags. zlib appends the checksum that it needs to what it packs. */
const HEADER = (() => {
  const fields = Buffer.from('104020a00940010500000000000081a4000000000000000000', 'hex');
  return Buffer.concat([Buffer.from(MAGIC.lzo), fields, deflateSync(fields, { level: 0 }).subarray(-4)]);
})();

/** A block of up to 238 literals, and its end. */
function literals(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([17 + data.length]), data, Buffer.from([0x11, 0, 0])]);
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 1024,
  quickRuns: 10_000,
  read(data) {
    const input = new Input(data);
    const way = input.choice(4);
    if (way === 0) {
      const size = input.byte() * 16 + input.byte();
      valueOrRefusal(() => unpackLzo1x(input.rest(), Buffer.alloc(size)), Error);
    } else if (way === 1) {
      const content = input.take(1 + input.choice(238));
      const unpacked = Buffer.alloc(content.length);
      if (content.length > 0) unpackLzo1x(literals(content), unpacked);
      assert.ok(unpacked.equals(content));
    } else {
      const blocks = way === 2 ? input.rest() : Buffer.concat([oneBlock(input), number(0)]);
      const file = Buffer.concat([HEADER, blocks]);
      const part = valueOrRefusal(() => unpackLzopPart(file, LIMIT), Error);
      if (part === undefined) return;
      assert.ok(part.data.length <= LIMIT && part.used <= file.length);
      assert.ok(unpackLzop(file.subarray(0, part.used), LIMIT).equals(part.data));
    }
  },
};

/** One block of a file, whose sizes fit. */
function oneBlock(input: Input): Buffer {
  const size = input.byte() * 256 + input.byte();
  const packed = input.rest();
  return Buffer.concat([number(size), number(packed.length), packed]);
}

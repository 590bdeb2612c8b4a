/** lz4, which is decoded by code of this project: both readers agree, and literals come back. */
import assert from 'node:assert/strict';
import { unpackLz4, unpackLz4Part } from '../../../src/compression/lz4.js';
import { MAGIC } from '../../../src/compression/magic.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

const LIMIT = 1 << 20;
const MAGIC_BYTES = Buffer.from(MAGIC.lz4);

/** A block of literals only. */
function literals(data: Buffer): Buffer {
  const short = data.length < 15;
  const rest = data.length - 15;
  const more = short ? [] : [...Array<number>(Math.floor(rest / 255)).fill(255), rest % 255];
  const block = Buffer.concat([Buffer.from([(short ? data.length : 15) << 4, ...more]), data]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  return Buffer.concat([size, block]);
}

/** Frames, by the first byte of an input: as they are, with a length that fits, or made of literals. */
function frameOf(data: Buffer): Buffer {
  const rest = data.subarray(1);
  if (data[0] === 0) return Buffer.concat([MAGIC_BYTES, literals(rest)]);
  if ((data[0] ?? 0) % 2 === 0) return Buffer.concat([MAGIC_BYTES, rest]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(rest.length);
  return Buffer.concat([MAGIC_BYTES, size, rest]);
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 1024,
  quickRuns: 5000,
  read(data) {
    const frame = frameOf(data);
    const part = valueOrRefusal(() => unpackLz4Part(frame, LIMIT), Error);
    if (data[0] === 0) assert.ok(part?.data.equals(data.subarray(1)) ?? false, 'literals do not come back');
    if (part === undefined) return;
    assert.ok(part.data.length <= LIMIT);
    assert.ok(part.used <= frame.length);
    if (part.used < frame.length) return;
    const whole = valueOrRefusal(() => unpackLz4(frame, part.data.length), Error);
    assert.ok(whole?.equals(part.data) ?? false, 'the two readers differ');
  },
};

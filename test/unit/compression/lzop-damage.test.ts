/**
 * Damaged lzo data: refused with one sentence, or unpacked as they now say, with no more work than their size allows.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { unpackLzo1x } from '../../../src/compression/lzo1x.js';
import { decompress } from '../../../src/image/archive/decompress.js';
import { ArchiveError } from '../../../src/image/archive/types.js';
import { randomNumbers } from '../../fuzz/random.js';
import { flipByte, noise } from '../../helpers/kernel-files.js';
import { HEADER_SIZE, lzop, packedBlock, unlessLzop } from '../../helpers/lzop.js';

/** Every kind of instruction: literals in short and long runs; matches near and far, short, long, and overlapping. */
function sample(size: number): Buffer {
  const parts: Buffer[] = [];
  for (let length = 0; length < size; length += parts.at(-1)?.length ?? 0) {
    const i = parts.length;
    parts.push(
      i % 3 === 2 ? Buffer.alloc(20 + i * 7, noise(1 + (i % 9), `${i % 5}`)) : noise(3 + ((i * 13) % 300), `${i % 11}`),
    );
  }
  return Buffer.concat(parts).subarray(0, size);
}

/** Unpacks data that may be damaged; undefined when they are refused properly. */
async function attempt(file: Buffer): Promise<Buffer | undefined> {
  try {
    const { data, used } = await decompress(file, 'lzo', 1 << 20);
    assert.ok(used <= file.length);
    return data;
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    assert.match(error.message, /lzo/);
    return undefined;
  }
}

const isCutOff = (file: Buffer, size: number) =>
  assert.rejects(
    decompress(file.subarray(0, size), 'lzo'),
    (error) => error instanceof ArchiveError && /lzop file is cut off/.test(error.message),
    `${size} of ${file.length} bytes`,
  );

it('every truncation is detected', { skip: unlessLzop }, async () => {
  const small = lzop(sample(3000), '-9');
  for (let size = 0; size < small.length; size += 1) await isCutOff(small, size);
  // Two blocks, cut in and around the start of the second one, and at the end.
  const large = lzop(sample(400_000), '-1', '-F');
  const second = HEADER_SIZE + 8 + large.readUInt32BE(HEADER_SIZE + 4);
  for (const from of [second - 20, large.length - 40]) {
    for (let size = from; size < Math.min(from + 60, large.length); size += 1) await isCutOff(large, size);
  }
});

for (const options of [['-9'], ['--crc32', '-CC']]) {
  it(`every flipped byte is detected with the checksums of ${options.join(' ')}`, { skip: unlessLzop }, async () => {
    const whole = lzop(sample(3000), ...options);
    for (let at = 0; at < whole.length; at += 1) {
      assert.equal(await attempt(flipByte(whole, at, 1 << (at % 8))), undefined, `byte ${at}`);
      assert.equal(await attempt(flipByte(whole, at)), undefined, `byte ${at}, all bits`);
    }
  });
}

it('without checksums a flipped byte gives data of the same size, or an error', { skip: unlessLzop }, async () => {
  const data = sample(60_000);
  const whole = lzop(data, '-1', '-F');
  const start = HEADER_SIZE + 8;
  const random = randomNumbers(89);
  let refused = 0;
  for (let round = 0; round < 1500; round += 1) {
    let damaged = whole;
    for (let count = 1 + random(3); count > 0; count -= 1) {
      damaged = flipByte(damaged, start + random(whole.length - start - 4), 1 + random(255));
    }
    const found = await attempt(damaged);
    if (found === undefined) refused += 1;
    else assert.equal(found.length, data.length, `round ${round}`);
  }
  assert.ok(refused > 300 && refused < 1500, `${refused} were refused`);
});

it('blocks of random bytes, and packed ones with a change, write nothing outside their target', {
  skip: unlessLzop,
}, () => {
  const data = sample(5000);
  const packed = packedBlock(data, '-1');
  const random = randomNumbers(1996);
  const around = 64;
  for (let round = 0; round < 4000; round += 1) {
    const block =
      round % 2 === 0 ? noise(random(300), `${round}`) : flipByte(packed, random(packed.length), 1 + random(255));
    const memory = Buffer.alloc(data.length + 2 * around, 0xa5);
    try {
      unpackLzo1x(block, memory.subarray(around, around + data.length));
    } catch (error) {
      assert.match(String(error), /^Error: .*lzo/, `round ${round}`);
    }
    for (const edge of [memory.subarray(0, around), memory.subarray(-around)]) {
      assert.ok(edge.equals(Buffer.alloc(around, 0xa5)), `round ${round}`);
    }
  }
});

/** The instructions of Documentation/staging/lzo.rst, one of each, with the expected result. */
const END = [0x11, 0, 0];
const LITERALS = [17 + 5, ...Buffer.from('abcde')];

for (const [name, block, result] of [
  ['nothing', END, ''],
  ['a first byte that counts literals', [18, 0x61, ...END], 'a'],
  ['a match of 2 behind a first literal', [18, 0x61, 0, 0, ...END], 'aaa'],
  ['a long run of literals', [0, 1, ...Buffer.from('0123456789abcdefghi'), ...END], '0123456789abcdefghi'],
  ['a match of 3, 1 behind, in the 2 KB', [...LITERALS, 0x40, 0, ...END], 'abcdeeee'],
  ['a match of 8, 5 behind, and a literal', [...LITERALS, 0xe0 | (4 << 2) | 1, 0, 0x78, ...END], 'abcdeabcdeabcx'],
  ['a match of 2 behind 1 literal', [...LITERALS, 0x41, 0, 0x78, 0x04, 0, ...END], 'abcdeeeexex'],
  [
    'a match in the 16 KB, with a length in more bytes',
    [...LITERALS, 0x20, 2, 0x10, 0, ...END],
    `abcde${'abcde'.repeat(7)}`,
  ],
] as const) {
  it(`instructions: ${name}`, () => {
    const target = Buffer.alloc(result.length);
    unpackLzo1x(Buffer.from(block), target);
    assert.equal(target.toString(), result);
  });
}

for (const [name, block, size, pattern] of [
  ['no byte', [], 0, /middle of an instruction/],
  ['no end', LITERALS, 5, /middle of an instruction/],
  ['literals that are cut off', LITERALS.slice(0, 4), 5, /middle of its literals/],
  ['a length that is cut off', [0, 0, 0], 1000, /middle of an instruction/],
  ['a distance that is cut off', [...LITERALS, 0x21, 0], 9, /middle of an instruction/],
  ['more literals than there is room for', [...LITERALS, ...END], 4, /more than its size/],
  ['a longer match than there is room for', [...LITERALS, 0xe0, 0, ...END], 12, /more than its size/],
  ['less than its size', [...LITERALS, ...END], 6, /unpacks to 5 bytes and not 6/],
  ['a match from before its beginning', [...LITERALS, 0x40 | (5 << 2), 0, ...END], 8, /before its block/],
  ['a match of 3, 2 KB behind, after 5 literals', [...LITERALS, 0, 0, ...END], 8, /before its block/],
  ['a far match from before its beginning', [...LITERALS, 0x11, 4, 0, ...END], 8, /before its block/],
  ['bytes behind its end', [...LITERALS, ...END, 0], 5, /behind its end/],
  ['an end of another length', [...LITERALS, 0x12, 0, 0], 5, /end of an lzo block is damaged/],
  ['an end with literals', [...LITERALS, 0x11, 1, 0, 0x61], 5, /end of an lzo block is damaged/],
  ['runs of zeros, as zram has them', [17, 1, ...LITERALS.slice(1), ...END], 5, /before its block/],
] as const) {
  it(`a block with ${name} is refused`, () => {
    assert.throws(() => unpackLzo1x(Buffer.from(block), Buffer.alloc(size)), pattern);
  });
}

/** The table of compressed formats. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  FORMATS,
  type FormatName,
  fileFormatOf,
  formatAt,
  PACK_FORMATS,
  pack,
  unpack,
  unpackPart,
} from '../../../src/compression/formats.js';
import { noise } from '../../helpers/kernel-files.js';

const NAMES = Object.keys(FORMATS) as FormatName[];
const DATA = Buffer.concat([
  noise(70_000, 'packed'),
  Buffer.alloc(200_000, 'text that packs well '),
  noise(5000, 'end'),
]);

it('every format is recognized by its magic number, at any place', () => {
  for (const name of NAMES) {
    const magic = Buffer.from(FORMATS[name].magic);
    assert.equal(formatAt(Buffer.concat([magic, Buffer.alloc(8, 1)]), 0), name);
    assert.equal(formatAt(Buffer.concat([Buffer.alloc(5), magic]), 5), name);
    assert.equal(formatAt(magic.subarray(0, -1), 0), undefined, `${name}, cut off`);
  }
  assert.equal(formatAt(Buffer.from('\x7fELF'), 0), undefined);
  assert.equal(formatAt(Buffer.alloc(0), 0), undefined);
});

it('no two formats share an ending or a build option', () => {
  for (const key of ['ending', 'initrdOption'] as const) {
    assert.equal(new Set(NAMES.map((name) => FORMATS[name][key])).size, NAMES.length);
  }
});

it('kernels and modules are not read in formats that no distribution packs them in', () => {
  const read = NAMES.filter((name) => fileFormatOf(Buffer.from(FORMATS[name].magic)) !== undefined);
  assert.deepEqual(read.sort(), ['gzip', 'lz4', 'lzo', 'xz', 'zstd']);
});

for (const name of PACK_FORMATS) {
  it(`what is packed with ${name} is unpacked, whole and as a part, and packed to the same bytes again`, async () => {
    const packed = await pack(DATA, name);
    assert.equal(formatAt(packed, 0), name);
    assert.ok((await unpack(packed, name, DATA.length)).equals(DATA));
    for (const behind of [Buffer.alloc(0), Buffer.alloc(512)]) {
      const part = await unpackPart(Buffer.concat([packed, behind]), name);
      assert.ok(part.data.equals(DATA));
      assert.equal(part.used, packed.length);
    }
    assert.ok((await pack(DATA, name)).equals(packed));
  });

  it(`a part packed with ${name} that unpacks to more than the limit is refused`, async () => {
    await assert.rejects(unpackPart(await pack(DATA, name), name, 1000));
  });
}

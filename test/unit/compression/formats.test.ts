/** The table of compressed formats. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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

  it(`what is packed with ${name} and unpacks to more than the limit is refused, whole and as a part`, async () => {
    const packed = await pack(DATA, name);
    await assert.rejects(unpackPart(packed, name, DATA.length - 1));
    if (name !== 'lz4') await assert.rejects(unpack(packed, name, undefined, DATA.length - 1));
    assert.ok((await unpackPart(packed, name, DATA.length)).data.equals(DATA));
  });
}

/** Runs in a process of its own, whose memory at its highest it prints: before and after it unpacks, in KiB. */
const MEASURE = `
  const [formats, name] = process.argv.slice(1);
  const { FORMATS, pack, unpackPart } = await import(formats);
  const packed = await pack(Buffer.alloc(1000), name);
  await unpackPart(packed, name);
  const zeros = await new Promise((resolve) => {
    const chunks = [];
    process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
  });
  const before = process.resourceUsage().maxRSS;
  const { data } = await unpackPart(zeros, name);
  console.log(JSON.stringify({ size: data.length, before, after: process.resourceUsage().maxRSS }));
`;

const LARGE = 256 << 20;
for (const name of ['gzip', 'lz4'] as const) {
  it(`unpacking ${name} takes little more memory than what comes out`, async () => {
    const formats = new URL('../../../src/compression/formats.js', import.meta.url).href;
    const input = await pack(Buffer.alloc(LARGE), name);
    const args = ['--input-type=module', '-e', MEASURE, formats, name];
    const measured = JSON.parse(execFileSync(process.execPath, args, { input, encoding: 'utf8' }));
    assert.equal(measured.size, LARGE);
    const more = (measured.after - measured.before) / (LARGE / 1024);
    // One that holds all parts and then joins them takes twice as much at least.
    assert.ok(more < 1.9, `it took ${more.toFixed(2)} times as much`);
  });
}

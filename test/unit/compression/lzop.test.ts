/** lzop data as a part of an initrd: compared with lzop itself, and with headers that lzop does not write. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { decompress } from '../../../src/image/archive/decompress.js';
import { readArchives } from '../../../src/image/archive/read.js';
import { ArchiveError } from '../../../src/image/archive/types.js';
import { makeArchive } from '../../helpers/archives.js';
import { runBake } from '../../helpers/bake.js';
import { noise } from '../../helpers/kernel-files.js';
import {
  adler,
  crc,
  END,
  lzop,
  lzopTakes,
  type MadeHeader,
  makeBlock,
  makeHeader,
  packedBlock,
  unlessLzop,
} from '../../helpers/lzop.js';
import { assertRun } from '../../helpers/run.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const BLOCK = 256 << 10;

/** Unpacks `file` with other bytes after it, which must not matter. */
async function unpack(file: Buffer): Promise<Buffer> {
  const { data, used } = await decompress(Buffer.concat([file, noise(100, 'behind')]), 'lzo');
  assert.equal(used, file.length, 'where it ended');
  return data;
}

const refuses = (file: Buffer, pattern: RegExp, limit?: number) =>
  assert.rejects(
    decompress(file, 'lzo', limit),
    (error) => error instanceof ArchiveError && pattern.test(error.message),
  );

/** Code of a program, text, and data that do not pack or pack very well. */
const SAMPLES: Readonly<Record<string, Buffer>> = {
  nothing: Buffer.alloc(0),
  'a byte': Buffer.from('a'),
  'what does not get smaller': noise(300_000, 'lzo'),
  '300 KB of zeros': Buffer.alloc(300_000),
  'one whole block': Buffer.alloc(BLOCK, 'a block '),
  'a byte more than a block': Buffer.alloc(BLOCK + 1, 'a block '),
  'a program': readFileSync(process.execPath).subarray(0, 1_200_000),
  'what repeats itself from afar': Buffer.concat(
    [0, 1, 2, 3, 4, 5].flatMap((i) => [noise(15_000 + i * 3000, 'far'), Buffer.alloc(i * 700, `${i}`)]),
  ),
};

describe('lzop', { skip: unlessLzop }, () => {
  for (const options of [['-1'], ['-3'], ['-9'], ['--crc32'], ['-F'], ['-CC'], ['-9', '--crc32', '-CC']]) {
    it(`data packed with ${options.join(' ')} is unpacked`, async () => {
      for (const [name, sample] of Object.entries(SAMPLES)) {
        assert.ok((await unpack(lzop(sample, ...options))).equals(sample), name);
      }
    });
  }

  it('data that repeats at every length and every short distance is unpacked', async () => {
    const parts: Buffer[] = [];
    for (let distance = 1; distance < 40; distance += 1) {
      for (const length of [3, 4, 8, 9, 33, 34, 35, 300]) {
        parts.push(noise(5, `${distance} ${length}`), Buffer.alloc(distance + length, noise(distance, `${distance}`)));
      }
    }
    const data = Buffer.concat(parts);
    for (const level of ['-1', '-9']) assert.ok((await unpack(lzop(data, level))).equals(data), level);
  });

  it('a file with its name in the header is unpacked', async (context) => {
    const directory = scratchDirectory(context);
    writeFileSync(join(directory, 'name'), 'content');
    const file = execFileSync('lzop', ['-c', 'name'], { cwd: directory });
    assert.ok(file.includes('name'));
    assert.equal((await unpack(file)).toString(), 'content');
  });

  it('archives after a packed one are found, packed and not', async () => {
    const archives = ['first', 'second', 'third'].map((data) =>
      makeArchive([{ name: data, data: noise(70_000, data) }]),
    );
    const [first = END, second = END, third = END] = archives;
    for (const gap of [0, 4, 511]) {
      const parts = [
        lzop(Buffer.concat([first, second]), '-9'),
        Buffer.alloc(gap),
        third,
        Buffer.alloc(gap),
        lzop(first),
      ];
      const found = await readArchives(Buffer.concat(parts));
      const packedAgain = parts.slice(0, 4).reduce((sum, { length }) => sum + length, 0);
      assert.deepEqual(
        found.map(({ offset, compression, entries }) => [offset, compression, entries[0]?.name]),
        [
          [0, 'lzo', 'first'],
          [0, 'lzo', 'second'],
          [(parts[0]?.length ?? 0) + gap, 'none', 'third'],
          [packedAgain, 'lzo', 'first'],
        ],
      );
      assert.ok(found[1]?.entries[0]?.data.equals(noise(70_000, 'second')));
    }
  });

  it('an archive of GNU cpio is shown by virt-sandbox-bake', async (context) => {
    const scratch = scratchDirectory(context);
    const tree = join(scratch, 'tree');
    mkdirSync(join(tree, 'bin'), { recursive: true });
    writeFileSync(join(tree, 'init'), '#!/bin/sh\necho up\n', { mode: 0o755 });
    writeFileSync(join(tree, 'bin/noise'), noise(400_000, 'cpio'));
    const cpio = execFileSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
      cwd: tree,
      input: '.\nbin\nbin/noise\ninit\n',
      maxBuffer: 1 << 30,
    });
    const initrd = join(scratch, 'initrd');
    const microcode = makeArchive([{ name: 'kernel/x86/microcode/GenuineIntel.bin', data: 'microcode' }]);
    const packed = Buffer.concat([microcode, lzop(cpio)]);
    writeFileSync(initrd, packed);
    const list = await runBake(scratch, ['ls', initrd]);
    assert.match(list.out, new RegExp(`^archive 2 of 2: at byte ${microcode.length}, packed with lzo$`, 'm'));
    assert.match(list.out, /^-rw\S+ .* 400000 .* bin\/noise$/m);
    assertRun(await runBake(scratch, ['cat', initrd, 'init']), 0, '#!/bin/sh\necho up\n');
    const plain = join(scratch, 'plain');
    writeFileSync(plain, Buffer.concat([microcode, cpio]));
    const sizes = `size: initrd\n  - ${packed.length} bytes\n  + ${microcode.length + cpio.length} bytes\n`;
    assertRun(await runBake(scratch, ['diff', initrd, plain]), 1, sizes);
  });

  it('checksums of every kind work together, and each wrong one is found', async () => {
    const data = Buffer.from('to be packed, to be packed, and to be packed again');
    const packed = packedBlock(data);
    assert.ok(packed.length < data.length);
    const sums = [adler(data), crc(data), adler(packed), crc(packed)];
    const header = makeHeader({ flags: 0x1303 });
    const file = (checksums: readonly Buffer[]) =>
      Buffer.concat([header, makeBlock(data.length, packed, ...checksums), END]);
    assert.ok(lzopTakes(file(sums)));
    assert.ok((await unpack(file(sums))).equals(data));
    for (const [i, sum] of sums.entries()) {
      const wrong = file(sums.with(i, Buffer.from(sum).reverse()));
      assert.ok(!lzopTakes(wrong));
      await refuses(wrong, i < 2 ? /checksum of an lzo block/ : /checksum of a packed lzo block/);
    }
    // Data that is stored as it is has no checksum of a packed form.
    const stored = Buffer.concat([header, makeBlock(data.length, data, adler(data), crc(data)), END]);
    assert.ok(lzopTakes(stored));
    assert.ok((await unpack(stored)).equals(data));
  });

  it('filtered data is refused', () => refuses(lzop(noise(1000, 'f'), '--filter=1'), /a filter, which no kernel/));
});

describe('an lzop file', () => {
  const data = Buffer.from('content');
  const file = (header: MadeHeader, ...blocks: readonly Buffer[]) =>
    Buffer.concat([makeHeader(header), ...blocks, END]);

  it('is read with either checksum of its header, and refused with a wrong one', async () => {
    for (const flags of [0, 0x1000]) {
      const whole = file({ flags, name: 'a name' }, makeBlock(data.length, data));
      assert.ok((await unpack(whole)).equals(data));
      const renamed = Buffer.from(whole);
      renamed.write('b', whole.indexOf('a name'));
      await refuses(renamed, /checksum of the lzop header/);
    }
  });

  it('is refused when the kernel would refuse or misread it', async () => {
    const block = makeBlock(data.length, data);
    await refuses(file({ version: 0x0930 }, block), /before 0\.94/);
    await refuses(file({ method: 128 }, block), /method 128/);
    await refuses(file({ flags: 0x40, extra: Buffer.alloc(8) }, block), /extra field/);
    await refuses(file({}, makeBlock(BLOCK + 1, Buffer.alloc(BLOCK + 1))), /262145 bytes is larger/);
    await refuses(file({}, makeBlock(3, data)), /3 bytes has 7 when packed/);
    await refuses(file({}, makeBlock(3, Buffer.alloc(0))), /3 bytes has 0 when packed/);
    await refuses(file({}, makeBlock(0xffffffff, data)), /more than 1073741824 bytes/);
    await unpack(file({}, makeBlock(BLOCK, Buffer.alloc(BLOCK))));
  });

  it('unpacks up to the limit', async () => {
    const two = file({}, makeBlock(data.length, data), makeBlock(data.length, data));
    assert.equal((await decompress(two, 'lzo', 14)).data.toString(), 'contentcontent');
    await refuses(two, /more than 13 bytes/, 13);
  });

  it('is recognized by its whole magic number', async () => {
    const whole = file({}, makeBlock(data.length, data));
    for (let i = 0; i < 9; i += 1) {
      const other = Buffer.from(whole);
      other.writeUInt8((whole[i] ?? 0) ^ 0x20, i);
      await assert.rejects(readArchives(other), /at byte 0 is neither/);
      await refuses(other, /magic number/);
    }
  });
});

/** File systems are detected from real images made by their own tools, and from nothing else. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectImage } from '../../../src/disk-image/inspect.js';
import { rejectsWith } from '../../helpers/errors.js';
import { IMAGE_MAKERS, makeImage, unlessProgram } from '../../helpers/images.js';
import { scratchDirectory } from '../../helpers/scratch.js';

for (const filesystem of Object.keys(IMAGE_MAKERS) as (keyof typeof IMAGE_MAKERS)[]) {
  const skip = unlessProgram(IMAGE_MAKERS[filesystem].program);
  test(`${filesystem}, raw and in qcow2`, { skip: skip || unlessProgram('qemu-img') }, async (context) => {
    const directory = scratchDirectory(context);
    const raw = makeImage(directory, filesystem);
    assert.deepEqual(await inspectImage({ source: raw, format: 'raw' }, 'it'), { filesystem, isBlock: false });
    // A comma and a colon are special to QEMU.
    const packed = join(directory, 'a,b:c.qcow2');
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, `${directory}/packed`]);
    execFileSync('mv', [`${directory}/packed`, packed]);
    assert.deepEqual(await inspectImage({ source: packed, format: 'qcow2' }, 'it'), { filesystem, isBlock: false });
  });
}

test('an image without a file system is refused with what it is and a remedy', async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'image');
  const at = (offset: number, bytes: string) => {
    const data = Buffer.alloc(80_000);
    data.write(bytes, offset, 'latin1');
    return data;
  };
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.alloc(80_000), /holds nothing yet; make a file system in it/],
    [Buffer.alloc(0), /holds nothing yet/],
    [at(0x1fe, '\x55\xaa'), /table of partitions/],
    [at(0x200, 'EFI PART'), /table of partitions/],
    [at(0, 'LUKS\xba\xbe'), /encrypted LUKS volume/],
    [at(0xff6, 'SWAPSPACE2'), /swap space/],
    [at(3, 'NTFS    '), /NTFS, which is not supported/],
    [at(0, 'QFI\xfb'), /QCOW format; .*format=qcow2/],
    [at(7, 'words'), /something that is not known here/],
  ];
  for (const [data, pattern] of cases) {
    writeFileSync(path, data);
    await rejectsWith(
      inspectImage({ source: path, format: 'raw' }, 'the image'),
      'image-no-filesystem',
      /^config: the image, /,
      pattern,
    );
  }
});

test('an unreadable image', { skip: unlessProgram('qemu-img') }, async (context) => {
  const directory = scratchDirectory(context);
  const path = join(directory, 'image');
  await rejectsWith(inspectImage({ source: path, format: 'raw' }, 'it'), 'image-unreadable', /ENOENT/);
  writeFileSync(path, '');
  truncateSync(path, 1 << 20);
  await rejectsWith(inspectImage({ source: path, format: 'qcow2' }, 'it'), 'image-unreadable', /not in qcow2 format/);
  mkdirSync(join(directory, 'd'));
  await rejectsWith(inspectImage({ source: join(directory, 'd'), format: 'raw' }, 'it'), 'image-unreadable', /EISDIR/);
});

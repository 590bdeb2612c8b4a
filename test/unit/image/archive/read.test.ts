/** Reading an initrd: several archives in a row, every packer, damage, and links. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { printable } from '../../../../src/image/archive/newc.js';
import { finalEntries, readArchives } from '../../../../src/image/archive/read.js';
import { ArchiveError } from '../../../../src/image/archive/types.js';
import { fileIn } from '../../../../src/image/inspect/source.js';
import {
  INITRD_PACKERS,
  type InitrdPacker,
  makeArchive,
  packInitrd,
  unlessInitrdPacker,
} from '../../../helpers/archives.js';
import { noise } from '../../../helpers/kernel-files.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const MICROCODE = makeArchive([{ name: 'kernel/x86/microcode/GenuineIntel.bin', data: noise(5000, 'microcode') }]);
const MAIN = makeArchive([
  { name: '.', mode: 0o040755 },
  { name: 'init', mode: 0o100755, data: '#!/bin/sh\n' },
  { name: 'large', data: noise(100_000, 'large') },
]);

const contents = async (initrd: Buffer) =>
  Object.fromEntries([...finalEntries(await readArchives(initrd))].map(([name, { content }]) => [name, content]));

describe('reading an initrd', () => {
  for (const packer of Object.keys(INITRD_PACKERS) as InitrdPacker[]) {
    it(`microcode first, then ${packer}`, { skip: unlessInitrdPacker(packer) }, async () => {
      const initrd = Buffer.concat([MICROCODE, Buffer.alloc(512), packInitrd(packer, MAIN)]);
      const archives = await readArchives(initrd);
      assert.deepEqual(
        archives.map(({ offset, compression, entries }) => ({
          offset,
          compression,
          names: entries.map(({ name }) => name),
        })),
        [
          { offset: 0, compression: 'none', names: ['kernel/x86/microcode/GenuineIntel.bin'] },
          { offset: MICROCODE.length + 512, compression: packer, names: ['.', 'init', 'large'] },
        ],
      );
      assert.deepEqual((await contents(initrd))['large'], noise(100_000, 'large'));
    });

    // libbz2 does not say how many bytes it used, and an lz4 legacy frame reaches to the end of the initrd.
    if (packer !== 'bzip2' && packer !== 'lz4') {
      it(`archives after one packed with ${packer}`, { skip: unlessInitrdPacker(packer) }, async () => {
        const second = makeArchive([{ name: 'init', data: 'second' }]);
        for (const gap of [0, 4, 511]) {
          const initrd = Buffer.concat([
            packInitrd(packer, MAIN),
            Buffer.alloc(gap),
            second,
            packInitrd(packer, MICROCODE),
            Buffer.alloc(gap),
          ]);
          const found = await contents(initrd);
          assert.deepEqual(found['init']?.toString(), 'second', `a gap of ${gap} bytes`);
          assert.deepEqual(found['kernel/x86/microcode/GenuineIntel.bin'], noise(5000, 'microcode'));
        }
      });
    }

    it(`truncated or damaged ${packer} data`, { skip: unlessInitrdPacker(packer) }, async () => {
      const packed = packInitrd(packer, MAIN);
      await assert.rejects(readArchives(packed.subarray(0, packed.length - 20)), ArchiveError);
      await assert.rejects(readArchives(packed.subarray(0, 7)), ArchiveError);
    });
  }

  it('packed archives that are too large together', async () => {
    const member = gzipSync(Buffer.concat([MAIN, Buffer.alloc(600_000)]));
    assert.equal((await readArchives(Buffer.concat([member, member]), 4_000_000)).length, 2);
    await assert.rejects(readArchives(Buffer.concat([member, member]), 3_000_000), ArchiveError);
  });

  it('entries count, packed or not, since they take memory however small they are', async () => {
    const many = makeArchive(Array.from({ length: 10_000 }, (_, i) => ({ name: `${i}` })));
    for (const initrd of [many, gzipSync(many)]) {
      assert.equal((await readArchives(initrd, 20 << 20))[0]?.entries.length, 10_000);
      await assert.rejects(readArchives(initrd, 10 << 20), /more than 10485760 bytes of memory/);
    }
  });

  it('names and targets of links count', async () => {
    const name = 'n'.repeat(4000);
    for (const entry of [{ name }, { name: 'link', mode: 0o120777, data: name }]) {
      const initrd = makeArchive(Array.from({ length: 100 }, () => entry));
      assert.equal((await readArchives(initrd, 8 << 20))[0]?.entries.length, 100);
      await assert.rejects(readArchives(initrd, 4 << 20), /more than 4194304 bytes of memory/);
    }
  });

  it('packed archives count, since each takes an unpacker', async () => {
    const initrd = Buffer.concat(Array.from({ length: 20 }, () => gzipSync(MAIN)));
    assert.equal((await readArchives(initrd, 24 << 20)).length, 20);
    await assert.rejects(readArchives(initrd, 16 << 20), /more than 16777216 bytes of memory/);
  });

  it('a packed archive inside a packed one is refused', async () => {
    await assert.rejects(readArchives(gzipSync(gzipSync(MAIN))), /at byte 0 of the data packed with gzip is neither/);
  });

  it('a link whose target no kernel takes is refused', async () => {
    const initrd = (length: number) => makeArchive([{ name: 'link', mode: 0o120777, data: 'x'.repeat(length) }]);
    assert.equal((await readArchives(initrd(4096))).length, 1);
    await assert.rejects(readArchives(initrd(4097)), /the link link has a target of 4097 bytes/);
  });

  it('several archives in one packed part', { skip: unlessInitrdPacker('gzip') }, async () => {
    const initrd = packInitrd('gzip', Buffer.concat([MICROCODE, Buffer.alloc(256), MAIN]));
    assert.equal((await readArchives(initrd)).length, 2);
  });

  it('archives of GNU cpio in both formats, with hard and symbolic links', async (context) => {
    const directory = scratchDirectory(context);
    mkdirSync(join(directory, 'd'));
    writeFileSync(join(directory, 'd/one'), 'linked');
    linkSync(join(directory, 'd/one'), join(directory, 'two'));
    symlinkSync('d/one', join(directory, 'link'));
    for (const format of ['newc', 'crc']) {
      const initrd = execFileSync('cpio', ['-o', '-H', format, '--quiet'], {
        cwd: directory,
        input: ['d', 'd/one', 'two', 'link'].join('\n'),
      });
      const found = await contents(initrd);
      assert.deepEqual(
        Object.entries(found).map(([name, data]) => [name, data.toString()]),
        [
          ['d', ''],
          ['d/one', 'linked'],
          ['two', 'linked'],
          ['link', 'd/one'],
        ],
        format,
      );
    }
  });

  it('a wrong checksum is found', async () => {
    const archive = makeArchive([{ name: 'a', data: 'content' }], true);
    const damaged = Buffer.from(archive);
    damaged.write('X', archive.indexOf('content'));
    await readArchives(archive);
    await assert.rejects(readArchives(damaged), /checksum of a/);
  });

  it('names what the data is, if it is no archive', async () => {
    await assert.rejects(readArchives(Buffer.alloc(0)), /no archive/);
    await assert.rejects(readArchives(Buffer.alloc(4096)), /no archive/);
    await assert.rejects(readArchives(Buffer.from('hello, world')), /at byte 0 is neither/);
    await assert.rejects(readArchives(Buffer.from('070707 an old archive')), /odc/);
    await assert.rejects(readArchives(Buffer.from([0x04, 0x22, 0x4d, 0x18])), /lz4 frame that no kernel/);
    await assert.rejects(readArchives(Buffer.concat([MAIN, Buffer.from('junk')])), /neither/);
  });

  it('the later of two entries with one name counts, and ./a is a', async () => {
    const initrd = Buffer.concat([
      makeArchive([{ name: './a', data: 'first' }]),
      makeArchive([{ name: 'a', data: 'last' }]),
    ]);
    assert.deepEqual(await contents(initrd), { a: Buffer.from('last') });
  });

  it('a file is found through absolute and relative links, never outside', async () => {
    const link = (name: string, data: string) => ({ name, mode: 0o120777, data });
    const initrd = makeArchive([
      { name: 'usr', mode: 0o040755 },
      { name: 'usr/bin', mode: 0o040755 },
      { name: 'usr/bin/sh', data: 'a shell' },
      link('bin', 'usr/bin'),
      link('usr/self', '.'),
      link('usr/root', '/'),
      link('up', '../../../usr'),
      link('a', 'b'),
      link('b', 'a'),
    ]);
    const read = {
      path: 'the initrd',
      size: 0,
      manifest: undefined,
      snapshots: [],
      archives: await readArchives(initrd),
    };
    for (const path of ['usr/bin/sh', '/bin/sh', './usr/self/bin/sh', 'usr/root/bin//sh', 'up/bin/sh', '../bin/sh']) {
      assert.equal(fileIn(read, path).content.toString(), 'a shell', path);
    }
    for (const path of ['', '/', 'a', 'bin/none']) assert.throws(() => fileIn(read, path), /has no file/, path);
    for (const path of ['usr', 'bin'])
      assert.throws(() => fileIn(read, path), /^SandboxError: \w+ is a directory in the i/);
  });

  it('control characters in names are escaped', () => {
    assert.equal(printable(Buffer.from('a\u001b[31mé\u202e\\').toString('latin1')), 'a\\u{1b}[31mé\\u{202e}\\\\');
  });
});

for (const path of ['/boot/initrd.img-6.12.118+deb13-amd64', '/boot/initrd.img-6.12.118+deb13-cloud-amd64']) {
  it(`${path} of initramfs-tools is read`, { skip: existsSync(path) ? false : 'it is not there' }, async () => {
    const { readFileSync } = await import('node:fs');
    const archives = await readArchives(readFileSync(path));
    const entries = finalEntries(archives);
    assert.ok(archives.length >= 2);
    assert.match(entries.get('init')?.content.toString('latin1', 0, 9) ?? '', /^#!\/bin\/sh/);
    assert.ok([...entries.keys()].some((name) => name.endsWith('.ko.xz') || name.endsWith('.ko')));
  });
}

/** The reader of tar archives, on those of GNU tar and on broken ones. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TarError } from '../../../../src/oci/tar/pieces.js';
import { type TarEntry, TarReader } from '../../../../src/oci/tar/reader.js';
import { BLOCK, padded, tarEntry, tarHeader, tarOf, withChecksum } from '../../../helpers/oci/tar.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

/** The archive in pieces of some bytes. */
async function* piecesOf(archive: Buffer, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += length) yield archive.subarray(at, at + length);
}

/** All entries, and the contents of files. */
async function read(archive: Buffer, piece = 1000): Promise<(TarEntry & { readonly content: string })[]> {
  const reader = new TarReader(piecesOf(archive, piece));
  const entries: (TarEntry & { readonly content: string })[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    const content: Buffer[] = [];
    for (let data = await reader.piece(); data !== undefined; data = await reader.piece())
      content.push(Buffer.from(data));
    entries.push({ ...entry, content: Buffer.concat(content).toString('latin1') });
  }
  return entries;
}

describe('an archive of GNU tar', () => {
  for (const format of ['v7', 'ustar', 'oldgnu', 'gnu', 'pax'])
    it(`in the format ${format} has all that was put into it`, async (context) => {
      const directory = scratchDirectory(context, WITH_ATTRIBUTES);
      const long = format === 'v7' ? 'l'.repeat(90) : `${'d'.repeat(60)}/${'f'.repeat(90)}`;
      mkdirSync(join(directory, 'd'.repeat(60)));
      writeFileSync(join(directory, long), 'x'.repeat(1500));
      const isLong = format === 'oldgnu' || format === 'gnu' || format === 'pax';
      const longest = `${Array.from({ length: 4 }, (_, at) => `${at}`.repeat(200)).join('/')}/ende`;
      if (isLong) {
        mkdirSync(join(directory, longest, '..'), { recursive: true });
        writeFileSync(join(directory, longest), 'end');
      }
      linkSync(join(directory, long), join(directory, 'a-hard'));
      symlinkSync(isLong ? longest : 'target', join(directory, 'soft'));
      writeFileSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xe4, 0xff])]), 'latin1');
      utimesSync(join(directory, long), 1_600_000_000, 1_600_000_000);
      const names = ['.'];
      const owner = ['--owner=1000', `--group=${format === 'v7' || format === 'ustar' ? 7 : 3_000_000}`];
      const archive = execFileSync('tar', [
        '-c',
        `--format=${format}`,
        '--sort=name',
        ...owner,
        '-C',
        directory,
        ...names,
      ]);
      for (const piece of [1, 511, 10_240]) {
        const entries = new Map((await read(archive, piece)).map((entry) => [entry.name, entry]));
        const file = [entries.get(`./${long}`), entries.get('./a-hard')].find((entry) => entry?.type === 'file');
        assert.equal(file?.content, 'x'.repeat(1500));
        assert.equal(file?.mtime, 1_600_000_000);
        assert.deepEqual([file?.uid, file?.gid], [1000, format === 'v7' || format === 'ustar' ? 7 : 3_000_000]);
        const link = [entries.get(`./${long}`), entries.get('./a-hard')].find((entry) => entry?.type === 'link');
        assert.equal(link?.link, file?.name);
        assert.deepEqual([link?.size, link?.content], [0, '']);
        assert.equal(entries.get('./soft')?.link, isLong ? longest : 'target');
        assert.equal(entries.get('./\xe4\xff')?.content, 'latin1');
        assert.equal(entries.get('./')?.type, 'directory');
        if (isLong) assert.equal(entries.get(`./${longest}`)?.content, 'end');
      }
    });

  for (const format of ['gnu', 'pax'])
    it(`with holes in the format ${format} is refused`, async (context) => {
      const directory = scratchDirectory(context);
      writeFileSync(join(directory, 'file'), 'start');
      truncateSync(join(directory, 'file'), 10_000_000);
      const archive = execFileSync('tar', ['-cS', `--format=${format}`, '-C', directory, 'file']);
      await assert.rejects(read(archive), (error) => error instanceof TarError && /holes/.test(error.message));
    });
});

describe('an archive', () => {
  it('has attributes of any bytes, and numbers of any size', async () => {
    const value = Buffer.from('0100000280ff0a3d00', 'hex');
    const [entry] = await read(
      tarOf({
        name: 'file',
        uid: 2 ** 31,
        gid: 2 ** 32 - 1,
        mtime: 2 ** 34,
        pax: { 'SCHILY.xattr.security.capability': value, comment: 'x', atime: '1.5' },
      }),
    );
    assert.deepEqual([entry?.uid, entry?.gid, entry?.mtime], [2 ** 31, 2 ** 32 - 1, 2 ** 34]);
    assert.deepEqual(Buffer.from(entry?.xattrs.get('security.capability') ?? '', 'latin1'), value);
  });

  it('has in PAX what its headers have not', async () => {
    const [entry, next] = await read(
      tarOf(
        {
          name: 'x',
          data: 'content',
          size: 0,
          pax: { path: 'y', size: '7', uid: '5', gid: '6', mtime: '12.75', linkpath: 'z' },
        },
        { name: 'next' },
      ),
    );
    assert.deepEqual(
      [entry?.name, entry?.size, entry?.uid, entry?.gid, entry?.mtime, entry?.content],
      ['y', 7, 5, 6, 12, 'content'],
    );
    assert.deepEqual([next?.name, next?.uid], ['next', 0]);
  });

  it('has devices, pipes, and what was a directory before there was a type for it', async () => {
    const entries = await read(
      tarOf(
        { name: 'c', type: '3', major: 5, minor: 1 },
        { name: 'b', type: '4', major: 259, minor: 1_000_000 },
        { name: 'p', type: '6' },
        { name: 'd/', type: '0' },
        { name: 'old', type: '\0', data: 'x' },
        { name: 'contiguous', type: '7', data: 'x' },
      ),
    );
    assert.deepEqual(
      entries.map(({ type, major, minor }) => [type, major, minor]),
      [
        ['character', 5, 1],
        ['block', 259, 1_000_000],
        ['fifo', 0, 0],
        ['directory', 0, 0],
        ['file', 0, 0],
        ['file', 0, 0],
      ],
    );
  });

  it('has no content in entries that are no files, whatever size they say', async () => {
    const entries = await read(
      Buffer.concat([tarHeader({ name: 'l', type: '2', link: 'x' }, 512), tarOf({ name: 'f' })]),
    );
    assert.deepEqual(
      entries.map(({ name, size }) => [name, size]),
      [
        ['l', 0],
        ['f', 0],
      ],
    );
  });

  it('ends at two blocks of zeros, at one, or at none', async () => {
    const one = tarEntry({ name: 'one', data: 'x' });
    const zeros = Buffer.alloc(BLOCK);
    for (const end of [[], [zeros], [zeros, zeros], [zeros, zeros, tarEntry({ name: 'behind' })]])
      assert.deepEqual(
        (await read(Buffer.concat([one, ...end]))).map(({ name }) => name),
        ['one'],
      );
    assert.deepEqual(await read(Buffer.alloc(0)), []);
  });

  it('is read to its end, whatever follows', async () => {
    let taken = 0;
    const source = async function* () {
      for await (const piece of piecesOf(Buffer.concat([tarOf({ name: 'a' }), Buffer.alloc(5000, 'x')]), 700)) {
        taken += piece.length;
        yield piece;
      }
    };
    const reader = new TarReader(source());
    while ((await reader.next()) !== undefined);
    assert.equal(taken, tarOf({ name: 'a' }).length + 5000);
  });

  const pax = (content: string) => [tarHeader({ name: 'p', type: 'x' }, content.length), padded(Buffer.from(content))];
  for (const [what, archive] of [
    ['no archive', Buffer.alloc(BLOCK, 'x')],
    ['cut off in a header', tarOf({ name: 'a' }).subarray(0, 100)],
    ['cut off in content', tarOf({ name: 'a', data: 'x'.repeat(1000) }).subarray(0, 1100)],
    ['cut off in padding', tarOf({ name: 'a', data: 'x' }).subarray(0, 600)],
    ['larger than itself', tarOf({ name: 'a', size: 2 ** 40 })],
    ['of a type that nobody knows', tarOf({ name: 'a', type: 'Z' })],
    ['with an empty header', Buffer.concat([Buffer.alloc(BLOCK), tarOf({ name: 'a' })])],
    ['with a wrong sum', Buffer.concat([Buffer.from('b'), tarOf({ name: 'a' }).subarray(1)])],
    ['with a negative size', withChecksum(Buffer.from(tarHeader({ name: 'a' }, 0)).fill(0xff, 124, 136))],
    ['with letters for a number', withChecksum(Buffer.from(tarHeader({ name: 'a' }, 0)).fill('z', 108, 112))],
    ['with a huge PAX header', tarHeader({ name: 'p', type: 'x' }, 2 ** 30)],
    ['with a PAX header for nothing', Buffer.concat(pax('9 path=a\n'))],
    ...[
      'x',
      '9 path=ab\n',
      '0 path=a\n',
      '9 path=a ',
      '11 =path=a\n',
      '99 a=b\n',
      '12 size=1e3\n',
      '14 mtime=soon\n',
      '5 ab\n',
    ].map(
      (text) =>
        [`with the PAX record ${JSON.stringify(text)}`, Buffer.concat([...pax(text), tarOf({ name: 'a' })])] as const,
    ),
  ] as const) {
    it(`that is ${what} is refused`, async () => {
      if (what.includes('=path')) return void assert.equal((await read(archive))[0]?.name, 'a');
      await assert.rejects(read(archive), TarError);
    });
  }

  it('that is damaged anywhere is refused or read, and nothing else', async () => {
    const archive = tarOf(
      { name: 'a'.repeat(150), data: 'content', pax: { 'SCHILY.xattr.user.a': 'b', mtime: '1.5' } },
      { name: 'c', type: '2', link: 'd' },
    );
    for (let at = 0; at < archive.length; at += 1)
      for (const byte of at % 4 === 0 ? [0, 0xff] : [0x31, 0x80]) {
        const damaged = Buffer.from(archive);
        damaged[at] = byte;
        // A header may also be right again.
        const block = at - (at % BLOCK);
        if (at % 3 === 0 && block < archive.length - BLOCK) withChecksum(damaged.subarray(block, block + BLOCK));
        await read(damaged, 4096).catch((error: unknown) => assert.ok(error instanceof TarError, String(error)));
      }
  });
});

/** Members of archives by which tar(1) could make what was not checked. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Members } from '../../src/service/archive/members.js';
import { unpackLayers } from '../../src/service/archive/unpack.js';
import { archiveOf, ground, INVALID, inUpper, REFUSED, refused } from '../helpers/hostile-archives.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { END_OF_TAR, type TarMember, tarMember } from '../helpers/tar-members.js';

describe('tar, which unpacks a state', { skip: unlessRoot('it unpacks what others own') }, () => {
  /** Without the checks: what if tar took a member for something else? */
  async function unchecked(t: TestContext, members: readonly TarMember[], why?: RegExp): Promise<string> {
    const directory = scratchDirectory(t, WITH_ATTRIBUTES);
    const to = join(directory, 'to');
    mkdirSync(to);
    writeFileSync(join(directory, 'victim'), 'whole');
    const archive = Buffer.concat([...members.map(tarMember), END_OF_TAR]);
    const stream = (async function* () {
      yield archive;
    })();
    const unpacked = unpackLayers(new Members(stream, 'x.tar'), to, () => {}, { archive: 'x.tar', name: 'web' });
    if (why === undefined) await unpacked;
    else await assert.rejects(unpacked, { code: 'service-archive-not-unpacked', message: why });
    assert.equal(readFileSync(join(directory, 'victim'), 'utf8'), 'whole');
    assert.equal(statSync(join(directory, 'victim')).nlink, 1);
    assert.ok(!existsSync(join(directory, 'new')));
    return to;
  }

  it('is what is tested here: without anything hostile it unpacks', async (t) => {
    const to = await unchecked(t, [
      { name: 'd/', flag: '5' },
      { name: 'd/a', content: 'a' },
    ]);
    assert.equal(readFileSync(join(to, 'd/a'), 'utf8'), 'a');
  });

  it('makes no device, follows no link, and leaves no directory', async (t) => {
    await unchecked(t, [{ name: 'null', flag: '3', device: [1, 3] }], /null: Cannot mknod: Operation not permitted/);
    await unchecked(t, [{ name: '../new', content: 'x' }], /Removing leading `\.\.\/'/);
    await unchecked(t, [{ name: 'hard', flag: '1', link: '../victim' }], /Removing leading `\.\.\/'/);
    const link: TarMember = { name: 'link', flag: '2', link: '..' };
    await unchecked(t, [link, { name: 'link/new', content: 'x' }], /link\/new: Cannot open/);
  });

  it('says why it ends before its input', async (t) => {
    const content = Buffer.alloc(8 << 20);
    await unchecked(
      t,
      [
        { name: 'a/', flag: '5' },
        { name: 'a', content },
      ],
      /a: Cannot open/,
    );
  });
});

/** A header whose field has other bytes, and the sum that fits. */
function changed(member: Buffer, at: number, text: string): Buffer {
  const copy = Buffer.from(member);
  copy.write(text, at, 'latin1');
  copy.write(' '.repeat(8), 148, 'latin1');
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

const HOLES = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'layers/upper/a' };

describe('a member of an archive', { skip: unlessRoot('states in directories are those of root') }, () => {
  const hidden = tarMember({ name: 'layers/hidden', mode: 0o4755, content: 'x' });
  const plain = tarMember({ name: 'layers/upper/a', content: hidden });
  const size = (text: string) => changed(plain, 124, text);
  const sparse = (content: string | Buffer, realSize: number, pax: Readonly<Record<string, string>> = HOLES) =>
    tarMember({ name: 'layers/upper/a', content, pax: { ...pax, 'GNU.sparse.realsize': String(realSize) } });
  const map = (text: string, rest = 0) => Buffer.concat([Buffer.from(text), Buffer.alloc(512 + rest - text.length)]);

  it('has the size that tar takes', async (t) => {
    const at = await ground(t);
    const members = {
      'a size of a file with holes that has none': sparse(hidden, 0, {}),
      'a blank in a size': size('0 000002000\0'),
      'a zero in front of a size': size('\x000000200\0'),
      'a size with blanks': size('     002000 '),
      'a size without an end': size('000000002000'),
      'a user behind a zero': changed(plain, 108, '\x000001\0'),
      'a map of more than there is': Buffer.concat([sparse(map('1\n0\n512\n'), 512), hidden]),
      'a map of less than there is': sparse(map('1\n0\n512\n', 1024), 512),
      'a map without an end': sparse(map('9\n0\n512\n', 512), 512),
      'a map without parts': sparse(map('0\n'), 0),
      'a map that goes back': sparse(map('2\n512\n512\n0\n512\n', 1024), 1024),
      'a map beyond the file': sparse(map('1\n512\n512\n', 512), 512),
      'a map with other numbers': sparse(map('1\n0x0\n512\n', 512), 512),
      'a map with more behind it': sparse(map('1\n0\n512\n7\n', 512), 512),
      'a map of a directory': tarMember({
        name: 'layers/upper/a',
        flag: '5',
        pax: { ...HOLES, 'GNU.sparse.realsize': '0' },
      }),
      'half of a map': sparse(map('1\n0\n512\n', 512), 512, { 'GNU.sparse.major': '1' }),
    };
    for (const [what, member] of Object.entries(members))
      await refused(at, archiveOf(at.config, { end: Buffer.concat([member, END_OF_TAR]) }), INVALID).catch((error) => {
        throw new Error(what, { cause: error });
      });
  });

  it('has no attribute that tar keeps, or calls otherwise', async (t) => {
    const at = await ground(t);
    const big = { 'SCHILY.xattr.user.a': 'x'.repeat(1000) };
    for (const member of [
      { name: 'layers/upper/l', flag: '2', link: '/x', pax: big },
      { name: 'layers/upper/p', flag: '6', pax: big },
      { name: 'layers/upper/w', flag: '3', pax: big },
    ])
      await refused(at, archiveOf(at.config, { members: inUpper(member) }), REFUSED, /attributes of a user/);
    const cut = { 'SCHILY.xattr.user.overlay.redirect\0.': '/root' };
    await refused(at, archiveOf(at.config, { members: inUpper({ name: 'layers/upper/a', pax: cut }) }), INVALID);
  });

  it('is unpacked by a tar whose memory is bounded', async (t) => {
    const to = scratchDirectory(t, WITH_ATTRIBUTES);
    let limits: string | undefined;
    const stream = (async function* () {
      yield tarMember({ name: 'd/', flag: '5' });
      for (; limits === undefined; limits = limitsOfTar(to)) await pause(10);
      yield END_OF_TAR;
    })();
    await unpackLayers(new Members(stream, 'x.tar'), to, () => {}, { archive: 'x.tar', name: 'web' });
    assert.match(limits ?? '', /^Max address space +2147483648 /m);
  });
});

/** Of the one that works in this directory. */
function limitsOfTar(directory: string): string | undefined {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const at = join('/proc', pid);
      if (readlinkSync(join(at, 'cwd')) === directory && readFileSync(join(at, 'comm'), 'utf8') === 'tar\n')
        return readFileSync(join(at, 'limits'), 'utf8');
    } catch {
      // It has ended, or is another user's.
    }
  return undefined;
}

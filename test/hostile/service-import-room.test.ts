/** Archives of services that somebody has made who would like to take the last of the disk, or of its inodes. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ImportOptions } from '../../src/service/archive/import.js';
import { formatService, loadService } from '../../src/service/file.js';
import { imported } from '../helpers/archiving.js';
import { archiveOf, FRAME, type Ground, ground, inUpper } from '../helpers/hostile-archives.js';
import { unlessProgram } from '../helpers/images.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { scratchMount } from '../helpers/scratch-mount.js';
import type { TarMember } from '../helpers/tar-members.js';

const MIB = 2 ** 20;
const TOO_LARGE = 'service-archive-too-large';
const EXT4 = ['mkfs.ext4', '-b', '4096', '-O', '^has_journal', '-m', '0'];

interface Disk {
  readonly at: Ground;
  readonly path: string;
  /** The least that has been free while the archive came. */
  readonly least: { bytes: number; inodes: number };
  readonly takes: (archive: Buffer, options?: Partial<ImportOptions>) => Promise<unknown>;
}

/** A place for states in a small file system. @param size in MiB */
async function disk(t: TestContext, size: number, inodes = 500): Promise<Disk> {
  const at = await ground(t);
  const path = scratchMount(t, [...EXT4, '-N', String(inodes)], `${size}M`);
  rmSync(join(path, 'lost+found'), { recursive: true });
  const least = { bytes: Number.POSITIVE_INFINITY, inodes: Number.POSITIVE_INFINITY };
  const look = () => {
    const { bavail, bsize, ffree } = statfsSync(path);
    least.bytes = Math.min(least.bytes, bavail * bsize);
    least.inodes = Math.min(least.inodes, ffree);
  };
  const takes = (archive: Buffer, options: Partial<ImportOptions> = {}) => {
    const stream = (async function* () {
      for (let offset = 0; offset < archive.length; offset += 65_521) {
        yield archive.subarray(offset, offset + 65_521);
        look();
      }
    })();
    return imported(at.roots, 'web', archive, { path, stream, ...options }).finally(look);
  };
  return { at, path, least, takes };
}

/** It is refused, nothing of it is left, and a twentieth of the file system was free at each moment. */
async function isTooLarge(
  { path, least, takes }: Disk,
  archive: Buffer,
  message: RegExp,
  options: Partial<ImportOptions> = {},
) {
  const { blocks, bsize, files } = statfsSync(path);
  await assert.rejects(takes(archive, options), (error: Error & { code?: string; remedy?: string }) => {
    assert.equal(error.code, TOO_LARGE, error.message);
    assert.match(error.message, message);
    assert.match(error.remedy ?? '', /make room there, name another directory with --path, or .* --fill/);
    return true;
  });
  assert.ok(least.bytes >= (blocks * bsize) / 20, `${least.bytes} bytes were free`);
  assert.ok(least.inodes >= files / 20, `${least.inodes} inodes were free`);
  assert.deepEqual(readdirSync(path), []);
}

const files = (count: number, content: Buffer | string, name = (number: number) => `${number}`): TarMember[] =>
  Array.from({ length: count }, (_, number) => ({ name: `layers/upper/${name(number)}`, content }));

/** A file of which every page has 512 bytes that are no hole, so that it takes eight times the room that they have. */
function sparse(parts: number): TarMember {
  const offsets = Array.from({ length: parts }, (_, number) => number * 4096);
  const end = (parts - 1) * 4096 + 512;
  const map = Buffer.from(`${[parts, ...offsets.flatMap((offset) => [offset, 512])].join('\n')}\n`);
  const whole = Buffer.concat([map, Buffer.alloc((512 - (map.length % 512)) % 512), Buffer.alloc(parts * 512, 'x')]);
  const pax = {
    ...{ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'layers/upper/holes' },
    'GNU.sparse.realsize': String(end),
  };
  return { name: 'layers/upper/holes', content: whole, pax };
}

const skip = unlessRoot('states in directories are those of root') || unlessProgram('mkfs.ext4');

describe('an archive that would fill the disk', { skip }, () => {
  it('is refused before a member comes for which there is no room', async (t) => {
    const to = await disk(t, 64);
    const config = to.at.config;
    const one = archiveOf(config, { members: inUpper({ name: 'layers/upper/a', content: Buffer.alloc(63 * MIB) }) });
    await isTooLarge(to, one, /takes more than \d+ bytes: \d+ are free in ".*", and \d+ have to stay free$/);
    const many = archiveOf(config, { members: inUpper(...files(63, Buffer.alloc(MIB, 'x'))) });
    await isTooLarge(to, many, /takes more than \d+ bytes/);
  });

  it('is refused where it takes many times the room that it has', async (t) => {
    const to = await disk(t, 8, 4000);
    const config = to.at.config;
    await isTooLarge(to, archiveOf(config, { members: inUpper(sparse(2000)) }), /more than \d+ bytes/);
    await isTooLarge(to, archiveOf(config, { members: inUpper(...files(1700, 'x')) }), /more than \d+ bytes/);
    // Attributes take blocks of their own, and so do directories and long links.
    const pax = { 'SCHILY.xattr.user.a': 'x'.repeat(500) };
    const heavy = files(1700, '').map((file) => ({ ...file, pax }));
    await isTooLarge(to, archiveOf(config, { members: inUpper(...heavy) }), /more than \d+ bytes/);
    for (const [flag, link] of [
      ['5', ''],
      ['2', 'x'.repeat(90)],
    ] as const) {
      const members = inUpper(...files(1700, '').map((file) => ({ ...file, flag, link })));
      await isTooLarge(to, archiveOf(config, { members }), /more than \d+ bytes/);
    }
  });

  it('is refused where it has too many files, or names of one', async (t) => {
    const to = await disk(t, 8);
    const config = to.at.config;
    await isTooLarge(to, archiveOf(config, { members: inUpper(...files(500, '')) }), /more than \d+ inodes/);
    const link = 'layers/upper/a';
    const names = files(15_000, '', (number) => `${number}`.padEnd(240, 'x'));
    const links = names.map(({ name }) => ({ name: 'x', flag: '1', link, pax: { path: name } }));
    const members = [...FRAME, { name: link }, ...links];
    await isTooLarge(to, archiveOf(config, { members }), /more than \d+ bytes/);
  });

  it('has no directories that it does not name', async (t) => {
    const to = await disk(t, 64, 5000);
    const deep = `layers/upper${'/a'.repeat(2000)}`;
    for (const members of [
      inUpper({ name: 'x', pax: { path: `${deep}/file` } }),
      inUpper({ name: 'layers/upper/a/', flag: '5' }, { name: 'layers/upper/file' }, { name: 'layers/upper/b/c/file' }),
      [{ name: 'layers/upper/file' }],
      [
        ...FRAME,
        { name: 'layers/upper/a/', flag: '5' },
        { name: 'layers/upper/b/', flag: '5' },
        { name: 'layers/upper/a/f' },
      ],
    ])
      await assert.rejects(to.takes(archiveOf(to.at.config, { members })), { code: 'service-archive-refused' });
    assert.deepEqual(readdirSync(to.path), []);
    assert.ok(to.least.inodes > 4900, `${to.least.inodes}`);
  });

  it('is refused as a whole before anything is unpacked, if it is a file', async (t) => {
    const to = await disk(t, 64);
    const many = archiveOf(to.at.config, { members: inUpper(...files(63, Buffer.alloc(MIB, 'x'))) });
    const archive = join(scratchDirectory(t, WITH_ATTRIBUTES), 'web.tar');
    writeFileSync(archive, many);
    const file = await open(archive);
    t.after(() => file.close());
    const onProgress = () => assert.fail('it is unpacked');
    await isTooLarge(to, many, /takes 66\d{6} bytes: /, { file, onProgress });
    // And so is one with a member that cannot be, however many others come first.
    const members = inUpper(...files(20, Buffer.alloc(MIB, 'x')), { name: 'layers/upper/../x' });
    const other = archiveOf(to.at.config, { members });
    writeFileSync(archive, other);
    await assert.rejects(to.takes(other, { file, onProgress }), { code: 'service-archive-refused' });
    writeFileSync(archive, other.subarray(0, 10 * MIB));
    await assert.rejects(to.takes(other, { file, onProgress }), { code: 'service-archive-invalid' });
    assert.deepEqual(readdirSync(to.path), []);
  });

  it('is refused when others have taken the room meanwhile', async (t) => {
    const to = await disk(t, 64);
    const archive = archiveOf(to.at.config, { members: inUpper(...files(40, Buffer.alloc(MIB, 'x'))) });
    const stream = (async function* () {
      yield archive.subarray(0, 10 * MIB);
      writeFileSync(join(to.path, 'other'), Buffer.alloc(40 * MIB, 'x'));
      for (let at = 10 * MIB; at < archive.length; at += MIB) yield archive.subarray(at, at + MIB);
    })();
    await assert.rejects(imported(to.at.roots, 'web', archive, { path: to.path, stream }), {
      code: TOO_LARGE,
      message: /was not unpacked: \d+ bytes are still free in ".*", and \d+ have to stay free/,
    });
    assert.deepEqual(readdirSync(to.path), ['other']);
  });

  it('is taken if it fits, and its holes take nothing', async (t) => {
    const to = await disk(t, 64);
    const pax = {
      ...{ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'layers/upper/far' },
      'GNU.sparse.realsize': String(2 ** 40),
    };
    const map = Buffer.alloc(512);
    map.write(`2\n0\n512\n${2 ** 40}\n0\n`);
    const far = { name: 'layers/upper/far', content: Buffer.concat([map, Buffer.alloc(512, 'x')]), pax };
    await to.takes(archiveOf(to.at.config, { members: inUpper(far, ...files(40, Buffer.alloc(MIB, 'x'))) }));
    assert.deepEqual(readdirSync(to.path), ['web']);
  });

  it('may fill it if it is to, and leaves nothing where that is not enough', async (t) => {
    const to = await disk(t, 64);
    const all = (count: number) =>
      archiveOf(to.at.config, { members: inUpper(...files(count, Buffer.alloc(MIB, 'x'))) });
    await assert.rejects(to.takes(all(70), { mayFill: true }), (error: Error & { code?: string; remedy?: string }) => {
      assert.equal(error.code, 'service-archive-not-unpacked');
      assert.match(error.message, /cannot be unpacked to ".*\/web": .*No space left on device/);
      assert.match(error.remedy ?? '', /make room there/);
      return true;
    });
    assert.deepEqual(readdirSync(to.path), []);
    const { bavail, bsize } = statfsSync(to.path);
    const most = Math.floor((bavail * bsize) / MIB) - 1;
    await isTooLarge(to, all(most), /more than/).catch(({ message }) => assert.match(message, /bytes were free/));
    await to.takes(all(most), { mayFill: true });
    assert.deepEqual(readdirSync(to.path), ['web']);
  });

  it('is refused as an image as well', async (t) => {
    const to = await disk(t, 64);
    const { config, settings } = await loadService(to.at.roots, 'model');
    const text = await formatService({ config: { ...config, overlay: { type: 'image', path: '/x.qcow2' } }, settings });
    const members = [{ name: 'state.qcow2', content: Buffer.alloc(63 * MIB, 'x') }];
    const archive = archiveOf(text, { state: { type: 'image' }, members });
    await isTooLarge(to, archive, /takes more than \d+ bytes/);
  });
});

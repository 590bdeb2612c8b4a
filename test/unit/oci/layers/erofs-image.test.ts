/** Images of EROFS: they are what their layers say, to a reader of our own, to fsck.erofs and to the kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { writeErofs } from '../../../../src/oci/layers/erofs-image.js';
import { planErofs } from '../../../../src/oci/layers/erofs-plan.js';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import type { StoredLayer } from '../../../../src/oci/layers/layer-stream.js';
import { imageError } from '../../../../src/oci-names/errors.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { unlessProgram } from '../../../helpers/images.js';
import { readErofs } from '../../../helpers/oci/erofs.js';
import { imageOfMerge, memoryLayer, mergedEntries, mergedImage } from '../../../helpers/oci/layers.js';
import { type TarEntry, tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const skip = unlessRoot('it unpacks owners') || unlessProgram('fsck.erofs', 'getfattr');

const LAYERS = [
  tarOf(
    { name: './', type: '5', mode: 0o755, mtime: 1_600_000_000 },
    { name: 'etc/', type: '5', mode: 0o700, uid: 1, gid: 2, mtime: 1_600_000_001 },
    { name: 'etc/a', data: 'lower', mode: 0o4755, uid: 3_000_000, gid: 70_000, mtime: 1_600_000_002 },
    { name: 'etc/gone', data: 'x' },
    { name: 'usr/lib/', type: '5', mode: 0o711 },
    { name: 'lib', type: '2', link: 'usr/lib' },
  ),
  tarOf(
    { name: 'lib/b', data: 'y'.repeat(100_000), pax: { 'SCHILY.xattr.user.k': Buffer.from('v\x80\xff', 'latin1') } },
    { name: 'lib/c', type: '1', link: 'usr/lib/b' },
    { name: 'etc/.wh.gone', data: '' },
    { name: 'p', type: '6' },
    { name: 'blocks', data: 'w'.repeat(8192) },
    { name: 'empty' },
    { name: `${'long/'.repeat(50)}name`, data: 'z' },
  ),
];

/** A file with the image of layers. */
async function make(context: TestContext, tars = LAYERS): Promise<string> {
  const path = join(scratchDirectory(context), 'image');
  writeFileSync(path, await mergedImage(...tars));
  return path;
}

/** The files of an image, unpacked as root. */
function extract(context: TestContext, image: string): string {
  const root = join(scratchDirectory(context, WITH_ATTRIBUTES), 'root');
  execFileSync('fsck.erofs', [`--extract=${root}`, '--xattrs', '--preserve', image], { stdio: 'ignore' });
  return root;
}

/** Calls `look` with the directory that the kernel has mounted an image at, unless it mounts none here. */
function whileMounted(context: TestContext, image: string, look: (directory: string) => void): void {
  const directory = scratchDirectory(context);
  try {
    execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, directory], { stdio: 'pipe' });
  } catch (error) {
    context.diagnostic(`the kernel mounts no EROFS here: ${String(error)}`);
    return;
  }
  try {
    look(directory);
  } finally {
    execFileSync('umount', [directory]);
  }
}

/** Sizes at which the last bytes of a file go to another place. */
const SIZES = [0, 1, 3000, 4031, 4032, 4033, 4095, 4096, 4097, 8127, 8128, 8129, 8192, 1_048_576, 1_048_577];
const contentOf = (size: number) => Buffer.alloc(size, `${size} is its size. `).toString();

describe('an image', () => {
  it('has the same bytes every time', async () => {
    const [one, two] = [await mergedImage(...LAYERS), await mergedImage(...LAYERS)];
    assert.ok(one.equals(two));
  });

  it('has owners, modes, times, links and attributes', { skip }, async (context) => {
    const root = extract(context, await make(context));
    const facts = (name: string) => {
      const { mode, uid, gid, mtimeMs } = lstatSync(join(root, name));
      return [(mode & 0o7777).toString(8), uid, gid, mtimeMs / 1000];
    };
    assert.deepEqual(facts('etc'), ['700', 1, 2, 1_600_000_001]);
    assert.deepEqual(facts('etc/a'), ['4755', 3_000_000, 70_000, 1_600_000_002]);
    assert.deepEqual(facts('usr'), ['755', 0, 0, 0]);
    assert.deepEqual(facts('usr/lib'), ['711', 0, 0, 0]);
    assert.deepEqual(facts('.'), ['755', 0, 0, 1_600_000_000]);
    assert.deepEqual(readdirSync(join(root, 'etc')), ['a']);
    assert.equal(readlinkSync(join(root, 'lib')), 'usr/lib');
    assert.equal(readFileSync(join(root, 'usr/lib/b'), 'utf8'), 'y'.repeat(100_000));
    assert.equal(lstatSync(join(root, 'usr/lib/b')).ino, lstatSync(join(root, 'usr/lib/c')).ino);
    assert.ok(lstatSync(join(root, 'p')).isFIFO());
    assert.equal(readFileSync(join(root, `${'long/'.repeat(50)}name`), 'utf8'), 'z');
    const value = execFileSync('getfattr', ['-n', 'user.k', '-e', 'hex', '--only-values', 'b'], {
      cwd: join(root, 'usr/lib'),
    });
    assert.deepEqual(value, Buffer.from('v\x80\xff', 'latin1'));
  });

  it('is what GNU tar unpacks, to fsck.erofs and to the kernel', { skip }, async (context) => {
    const image = await make(context);
    const tree = join(scratchDirectory(context), 'tree');
    mkdirSync(tree);
    for (const input of LAYERS) execFileSync('tar', ['-xpf', '-', '--same-owner', '-C', tree], { input });
    for (const name of ['gone', '.wh.gone']) rmSync(join(tree, 'etc', name));
    const list = (at: string) =>
      execFileSync('find', ['.', '-printf', '%y %m %n %U %G %T@ %p %l\n'], { cwd: at, encoding: 'utf8' })
        .split('\n')
        // tar sets the times of directories late, and not of those that it has gone into again; not every file system
        // counts the names of a directory.
        .map((line) => line.replace(/^(d \S+) \S+ (\S+ \S+) \S+/, '$1 $2'))
        .sort();
    assert.deepEqual(list(extract(context, image)), list(tree));
    whileMounted(context, image, (mounted) => {
      assert.deepEqual(list(mounted), list(tree));
      assert.equal(readFileSync(join(mounted, 'lib/b'), 'utf8'), 'y'.repeat(100_000));
    });
  });

  it('has files of every size, with and without attributes', { skip }, async (context) => {
    const attributes = [0, 1, 2, 100, 4000].map((length) => ({ 'SCHILY.xattr.user.a': 'v'.repeat(length) }));
    const files = SIZES.flatMap((size): TarEntry[] => [
      { name: `plain-${size}`, data: contentOf(size) },
      ...attributes.map((pax, at) => ({ name: `with-${at}-${size}`, data: contentOf(size), pax })),
    ]);
    const image = await make(context, [tarOf(...files)]);
    const read = readErofs(readFileSync(image)).filter(({ type }) => type === 'file');
    assert.equal(read.length, files.length);
    for (const { name, content, xattrs } of read) {
      const [, , at] = name.split('-');
      assert.ok(content === contentOf(Number(name.split('-').at(-1))), name);
      const value = at === undefined ? undefined : attributes[Number(name.split('-')[1])]?.['SCHILY.xattr.user.a'];
      assert.equal(xattrs.get('user.a'), value, name);
    }
    execFileSync('fsck.erofs', [image], { stdio: 'ignore' });
    whileMounted(context, image, (mounted) => {
      for (const { name, content, xattrs } of read) {
        assert.ok(readFileSync(join(mounted, name), 'utf8') === content, name);
        const value = xattrs.get('user.a');
        if (value === undefined) continue;
        const said = execFileSync('getfattr', ['-n', 'user.a', '--only-values', join(mounted, name)], {
          stdio: 'pipe',
        });
        assert.equal(said.toString(), value, name);
      }
    });
  });

  it('has links to names of every length, and attributes that fill many blocks', { skip }, async (context) => {
    const names = Array.from({ length: 256 }, (_, at) => `user.${'n'.repeat(at % 200)}${at}`);
    const pax = Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, 'v'.repeat(300)]));
    const links = [1, 4031, 4032, 4033, 4095].map((length) => ({
      name: `l${length}`,
      type: '2',
      link: 'l'.repeat(length),
    }));
    const image = await make(context, [tarOf(...links, { name: 'a', data: 'x', pax }, { name: 'd', type: '5', pax })]);
    const entries = new Map(readErofs(readFileSync(image)).map((entry) => [entry.name, entry]));
    for (const { name, link } of links) assert.equal(entries.get(name)?.content, link);
    for (const name of ['a', 'd/']) assert.deepEqual([...(entries.get(name)?.xattrs.keys() ?? [])], [...names].sort());
    execFileSync('fsck.erofs', [image], { stdio: 'ignore' });
    whileMounted(context, image, (mounted) => {
      for (const { name, link } of links) assert.equal(readlinkSync(join(mounted, name)), link);
      const said = execFileSync('getfattr', ['-d', '-m', '.', join(mounted, 'a')], { encoding: 'utf8' });
      assert.equal(said.split('\n').filter((line) => line.endsWith(`="${'v'.repeat(300)}"`)).length, names.length);
    });
  });

  it('has directories of any number of names, in the order of their bytes', { skip }, async (context) => {
    const odd = ['!', '-', '.a', '..a', '...', '+', 'ä', 'Z', '\x7f', '\u{fffd}'];
    const many = Array.from({ length: 5000 }, (_, at) => `${'n'.repeat(at % 90)}${at}`);
    const tar = tarOf(...[...odd, ...many].map((name) => ({ name: `d/${name}`, data: name })), {
      name: 'e',
      type: '5',
    });
    const image = await make(context, [tar]);
    const read = readErofs(readFileSync(image)).filter(({ type }) => type === 'file');
    const bytes = (name: string) => Buffer.from(name).toString('latin1');
    assert.deepEqual(
      read.map(({ name }) => name),
      [...odd, ...many].map((name) => bytes(`d/${name}`)).sort(),
    );
    execFileSync('fsck.erofs', [image], { stdio: 'ignore' });
    whileMounted(context, image, (mounted) => {
      assert.deepEqual(readdirSync(join(mounted, 'd')).sort(), [...odd, ...many].sort());
      for (const name of [...odd, ...many]) assert.equal(readFileSync(join(mounted, 'd', name), 'utf8'), name);
      assert.deepEqual(readdirSync(join(mounted, 'e')), []);
    });
  });

  it('has more inodes than are held while it is written', async () => {
    const content = (at: number) => `${at} `.repeat(at % 900);
    const files = Array.from({ length: 3000 }, (_, at) => ({ name: `f${at}`, data: content(at) }));
    const image = await mergedImage(files);
    // The first inodes are in the first block, and the last ones were written long after it.
    assert.ok(image.length > 4 << 20);
    const read = readErofs(image).filter(({ type }) => type === 'file');
    assert.equal(read.length, files.length);
    for (const one of read) assert.ok(one.content === content(Number(one.name.slice(1))), one.name);
  });

  it('has nothing of some layers, and these are not read again', async () => {
    const tars = [tarOf({ name: 'a', data: 'x' }), tarOf({ name: 'a', data: 'y' }), tarOf({ name: 'd', type: '5' })];
    const reads = [0, 0, 0];
    const layers = tars.map((bytes, at) =>
      memoryLayer(bytes, {
        open: async function* () {
          reads[at] = (reads[at] ?? 0) + 1;
          yield bytes;
        },
      }),
    );
    const image = await imageOfMerge(await indexLayers(layers), layers);
    assert.deepEqual(
      readErofs(image).map(({ name, content }) => [name, content]),
      [
        ['./', ''],
        ['a', 'y'],
        ['d/', ''],
      ],
    );
    assert.deepEqual(reads, [1, 2, 1]);
  });

  it('has times before 1970 as 1970', async () => {
    const pax = { mtime: '-1.5' };
    const found = (await mergedEntries([{ name: 'a', data: 'x', pax }])).find(({ name }) => name === 'a');
    assert.equal(found?.mtime, 0);
  });
});

describe('an image that cannot be made', () => {
  const tar = tarOf({ name: 'a', data: 'x'.repeat(5000) }, { name: 'b', data: 'y' });

  /** A layer that is another one when it is read again. */
  const changing = (second: Buffer, more: Partial<StoredLayer> = {}) => {
    let reads = 0;
    return memoryLayer(tar, {
      open: async function* () {
        reads += 1;
        yield reads === 1 ? tar : second;
      },
      ...more,
    });
  };
  const a = { name: 'a', data: 'x'.repeat(5000) };
  const b = { name: 'b', data: 'y' };
  for (const [what, second] of [
    ['a larger file', tarOf({ name: 'a', data: 'x'.repeat(50_000) }, { name: 'b', data: 'y' })],
    ['a smaller file', tarOf({ name: 'a', data: 'x' }, { name: 'b', data: 'y' })],
    ['something else than a file', tarOf({ name: 'a', type: '6' }, { name: 'b', data: 'y' })],
    ['a directory', tarOf({ name: 'a', type: '5' }, { name: 'b', data: 'y' })],
    ['other attributes', tarOf({ name: 'a', data: 'x'.repeat(5000), pax: { 'SCHILY.xattr.user.a': '1' } })],
    ['fewer entries', tarOf({ name: 'a', data: 'x'.repeat(5000) })],
    ['other content of the same size', tarOf(a, { ...b, data: 'z' })],
    ['another name', tarOf(a, { ...b, name: 'c' })],
    ['another mode', tarOf(a, { ...b, mode: 0o4755 })],
    ['another owner', tarOf(a, { ...b, uid: 1 })],
    ['more entries', tarOf(a, b, { ...b, name: 'c' })],
    ['more bytes behind its end', Buffer.concat([tar, Buffer.alloc(512)])],
  ] as const)
    it(`because a layer has ${what} when it is read again says so`, async () => {
      const layer = changing(second);
      const merge = await indexLayers([layer]);
      await rejectsWith(imageOfMerge(merge, [layer]), 'layer-invalid', /layer 1 has changed since it was checked/);
    });

  const xattr = (name: string, value: string) => ({ [`SCHILY.xattr.${name}`]: value });
  for (const [what, first, second] of [
    ['an owner', { name: 'a' }, { name: 'a', pax: { uid: '5000000000' } }],
    ['a device', { name: 'a', type: '3', major: 1 }, { name: 'a', type: '3', major: 2 ** 20 }],
    ['a link', { name: 'a', type: '2', link: 'abc' }, { name: 'a', type: '2', pax: { linkpath: 'a\0c' } }],
    [
      'a name',
      { name: 'a', pax: xattr('user.a', 'v'.repeat(300)) },
      { name: 'a', pax: xattr(`user.${'n'.repeat(300)}`, 'v') },
    ],
    ['an empty name', { name: 'a', pax: xattr('user.a', 'v') }, { name: 'a', pax: xattr('user.', 'vv') }],
  ] as const satisfies readonly (readonly [string, TarEntry, TarEntry])[])
    it(`because it has ${what} that there is no room for when it is read again says so`, async () => {
      let reads = 0;
      const layer = memoryLayer(tarOf(first), {
        open: async function* () {
          reads += 1;
          yield tarOf(reads === 1 ? first : second);
        },
      });
      const merge = await indexLayers([layer]);
      await rejectsWith(imageOfMerge(merge, [layer]), 'layer-invalid', /layer 1 has changed since it was checked/);
    });

  it('because a layer changes says what is wrong with where it is kept', async () => {
    const damaged = imageError('store-damaged', 'the blob is damaged', 'pull the image again');
    const layer = changing(tarOf(a, { ...b, data: 'z' }), { damage: () => Promise.resolve(damaged) });
    const merge = await indexLayers([layer]);
    await rejectsWith(imageOfMerge(merge, [layer]), 'store-damaged');
  });

  it('because a write fails has its error', async () => {
    const layer = memoryLayer(tar);
    const merge = await indexLayers([layer]);
    const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    const file = {
      write: () => Promise.reject(full),
      truncate: () => Promise.resolve(),
    };
    const plan = await planErofs(merge);
    await assert.rejects(writeErofs(file, merge, plan, [layer], { uuid: '0'.repeat(32) }), full);
  });

  // Nothing here waits for a disk, so a signal is seen only if it gets a turn.
  for (const [what, names] of [
    ['in one directory', (at: number) => `d/${at}`],
    ['each in its own', (at: number) => `${at}/f`],
  ] as const)
    it(`because the work is called off while many names are planned and written, ${what}`, async () => {
      const layer = memoryLayer(tarOf(...Array.from({ length: 30_000 }, (_, at) => ({ name: names(at), type: '5' }))));
      const merge = await indexLayers([layer]);
      const soon = () => {
        const controller = new AbortController();
        setImmediate(() => controller.abort());
        return controller.signal;
      };
      await rejectsWith(planErofs(merge, soon()), 'aborted');
      const plan = await planErofs(merge);
      const file = {
        write: async (_data: Uint8Array, _offset: number, length: number) => ({ bytesWritten: length }),
        truncate: async () => {},
      };
      const options = { uuid: '0'.repeat(32), signal: soon() };
      await rejectsWith(writeErofs(file, merge, plan, [layer], options), 'aborted');
    });

  it('because the work is called off lets its layers go', async () => {
    const controller = new AbortController();
    let [reads, isOpen] = [0, 0];
    const layer = memoryLayer(tar, {
      open: async function* () {
        reads += 1;
        isOpen += 1;
        try {
          yield tar.subarray(0, 1024);
          if (reads === 2) controller.abort();
          yield tar.subarray(1024, 2048);
          yield tar.subarray(2048);
        } finally {
          isOpen -= 1;
        }
      },
    });
    const merge = await indexLayers([layer]);
    await rejectsWith(imageOfMerge(merge, [layer], { signal: controller.signal }), 'aborted');
    assert.deepEqual([reads, isOpen], [2, 0]);
  });
});

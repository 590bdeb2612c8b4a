/** Images of EROFS are what their layers say, to fsck.erofs and to the kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { writeErofs } from '../../../../src/oci/layers/erofs-image.js';
import { planErofs } from '../../../../src/oci/layers/erofs-plan.js';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import { unlessProgram } from '../../../helpers/images.js';
import { readErofs } from '../../../helpers/oci/erofs.js';
import { memoryLayer, mergedImage } from '../../../helpers/oci/layers.js';
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

/**
 * Calls `look` with the directory that the kernel has mounted an image at, unless it mounts none here. In CI it has to:
 * no image would have been read by a kernel otherwise.
 */
function whileMounted(context: TestContext, image: string, look: (directory: string) => void): void {
  const directory = scratchDirectory(context);
  try {
    execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', image, directory], { stdio: 'pipe' });
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
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

it('an image has the same bytes every time', async () => {
  const [one, two] = [await mergedImage(...LAYERS), await mergedImage(...LAYERS)];
  assert.ok(one.equals(two));
});

describe('an image', { skip }, () => {
  it('has owners, modes, times, links and attributes', async (context) => {
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

  it('is what GNU tar unpacks, to fsck.erofs and to the kernel', async (context) => {
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

  it('has devices, bits of modes, and the largest numbers of users', async (context) => {
    const most = 2 ** 32 - 2;
    const image = await make(context, [
      tarOf(
        { name: 'd', type: '5', mode: 0o3777, uid: most, gid: most },
        { name: 'set', data: 'x', mode: 0o6755, uid: most, gid: 2 ** 31 },
        { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
        { name: 'largest', type: '3', major: 4095, minor: 2 ** 20 - 1 },
        { name: 'disk', type: '4', major: 8, minor: 256, uid: 1 },
        { name: 'pipe', type: '6', mode: 0o622 },
      ),
    ]);
    whileMounted(context, image, (mounted) => {
      const said = execFileSync('stat', ['-c', '%n %F %a %u %g %t,%T', 'd', 'set', 'null', 'largest', 'disk', 'pipe'], {
        cwd: mounted,
        encoding: 'utf8',
      });
      assert.deepEqual(said.trim().split('\n'), [
        `d directory 3777 ${most} ${most} 0,0`,
        `set regular file 6755 ${most} ${2 ** 31} 0,0`,
        'null character special file 666 0 0 1,3',
        'largest character special file 644 0 0 fff,fffff',
        'disk block special file 644 1 0 8,100',
        'pipe fifo 622 0 0 0,0',
      ]);
    });
  });

  it('has files of every size, with and without attributes', async (context) => {
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

  it('may have its content behind 8 GiB', async (context) => {
    const layers = [memoryLayer(tarOf(...SIZES.map((size) => ({ name: `${size}`, data: contentOf(size) }))))];
    const merge = await indexLayers(layers);
    const plan = await planErofs(merge);
    // What lies between is a hole.
    const far = { ...plan, contentAt: plan.contentAt + 2 ** 21, blocks: plan.blocks + 2 ** 21 };
    const path = join(scratchDirectory(context), 'image');
    const file = await open(path, 'w');
    await writeErofs(file, merge, far, layers, { uuid: '0'.repeat(32) });
    await file.close();
    assert.equal(lstatSync(path).size, far.blocks * 4096);
    execFileSync('fsck.erofs', [path], { stdio: 'ignore' });
    whileMounted(context, path, (mounted) => {
      for (const size of SIZES)
        assert.ok(readFileSync(join(mounted, `${size}`), 'utf8') === contentOf(size), `${size}`);
    });
  });

  it('has links to names of every length, and attributes that fill many blocks', async (context) => {
    const names = Array.from({ length: 256 }, (_, at) => `user.${'n'.repeat(at % 200)}${at}`);
    const pax = Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, 'v'.repeat(300)]));
    const links = [1, 4031, 4032, 4033, 4095].map((length) => ({
      name: `l${length}`,
      type: '2',
      link: 'l'.repeat(length),
    }));
    // As many as listxattr(2) tells.
    const most = Array.from({ length: 256 }, (_, at) => `user.${`${at}`.padStart(250, 'n')}`);
    const full = Object.fromEntries(most.map((name) => [`SCHILY.xattr.${name}`, 'v']));
    const image = await make(context, [
      tarOf(
        ...links,
        { name: 'a', data: 'x', pax },
        { name: 'd', type: '5', pax },
        { name: 'full', data: 'x', pax: full },
      ),
    ]);
    const entries = new Map(readErofs(readFileSync(image)).map((entry) => [entry.name, entry]));
    for (const { name, link } of links) assert.equal(entries.get(name)?.content, link);
    for (const name of ['a', 'd/']) assert.deepEqual([...(entries.get(name)?.xattrs.keys() ?? [])], [...names].sort());
    execFileSync('fsck.erofs', [image], { stdio: 'ignore' });
    whileMounted(context, image, (mounted) => {
      for (const { name, link } of links) assert.equal(readlinkSync(join(mounted, name)), link);
      const said = execFileSync('getfattr', ['-d', '-m', '.', join(mounted, 'a')], { encoding: 'utf8' });
      assert.equal(said.split('\n').filter((line) => line.endsWith(`="${'v'.repeat(300)}"`)).length, names.length);
      const listed = execFileSync('getfattr', ['-m', '.', '--absolute-names', join(mounted, 'full')], {
        encoding: 'utf8',
      });
      assert.deepEqual(
        listed.split('\n').filter((line) => line.startsWith('user.')),
        most.sort(),
      );
    });
  });

  it('has directories of any number of names, in the order of their bytes', async (context) => {
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
});

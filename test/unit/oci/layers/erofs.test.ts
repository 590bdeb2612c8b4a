/** Images of EROFS: what mkfs.erofs makes of layers, and what becomes of its failures. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type ErofsOptions, findMkfs, makeErofs } from '../../../../src/oci/layers/erofs.js';
import { findDamage } from '../../../../src/oci/layers/erofs-contents.js';
import { indexLayers } from '../../../../src/oci/layers/index-layers.js';
import { wholeTar } from '../../../../src/oci/layers/whole-tar.js';
import { withEnvironment } from '../../../helpers/environment.js';
import { rejectsWith, throwsWith } from '../../../helpers/errors.js';
import { unlessProgram } from '../../../helpers/images.js';
import { memoryLayer, mergedTar } from '../../../helpers/oci/layers.js';
import { tarOf } from '../../../helpers/oci/tar.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const skip = unlessRoot('it unpacks owners') || unlessProgram('fsck.erofs', 'getfattr');

const UUID = '0123456789abcdef0123456789abcdef';
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

/** Makes the image of layers, and compares it with what went in, when `change` has changed it. */
async function make(path: string, tars = LAYERS, change?: (image: Buffer) => Buffer): Promise<string | undefined> {
  const layers = tars.map((bytes, at) => memoryLayer(bytes, { which: `layer ${at + 1}` }));
  const merge = await indexLayers(layers);
  const sums = new Uint32Array(merge.inodes.rows);
  await makeErofs(wholeTar(merge, layers, { sums }), { path, uuid: UUID });
  if (change !== undefined) writeFileSync(path, change(readFileSync(path)));
  return findDamage(path, merge, sums);
}

/** The files of an image, unpacked as root. */
function extract(context: TestContext, image: string): string {
  const root = join(scratchDirectory(context, WITH_ATTRIBUTES), 'root');
  execFileSync('fsck.erofs', [`--extract=${root}`, '--xattrs', '--preserve', image], { stdio: 'ignore' });
  return root;
}

describe('an image', () => {
  it('has the same bytes every time', async (context) => {
    const directory = scratchDirectory(context);
    for (const name of ['one', 'two']) await make(join(directory, name));
    const [one, two] = ['one', 'two'].map((name) => readFileSync(join(directory, name)));
    assert.ok(one !== undefined && two !== undefined && one.equals(two));
    assert.equal(one.readUInt32LE(1024), 0xe0f5e1e2);
  });

  it('has the same bytes whatever the environment says', async (context) => {
    const directory = scratchDirectory(context);
    await make(join(directory, 'one'));
    withEnvironment(context, { SOURCE_DATE_EPOCH: '1', TMPDIR: '/nowhere' });
    await make(join(directory, 'two'));
    process.env['SOURCE_DATE_EPOCH'] = 'no number';
    await make(join(directory, 'three'));
    const [one, two, three] = ['one', 'two', 'three'].map((name) => readFileSync(join(directory, name)));
    assert.ok(one !== undefined && two?.equals(one) === true && three?.equals(one) === true);
  });

  it('has owners, modes, times, links and attributes', { skip }, async (context) => {
    const path = join(scratchDirectory(context), 'image');
    await make(path);
    const root = extract(context, path);
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
    const directory = scratchDirectory(context);
    const path = join(directory, 'image');
    await make(path);
    const [tree, mounted] = [join(directory, 'tree'), join(directory, 'mounted')];
    for (const name of [tree, mounted]) mkdirSync(name);
    execFileSync('tar', ['-xpf', '-', '--same-owner', '-C', tree], { input: await mergedTar(...LAYERS) });
    const list = (at: string) =>
      execFileSync('find', ['.', '-printf', '%y %m %U %G %T@ %p %l\n'], { cwd: at, encoding: 'utf8' })
        .split('\n')
        // tar sets the times of directories late, and not of those that it has gone into again.
        .map((line) => line.replace(/^(d \S+ \S+ \S+) \S+/, '$1'))
        .sort();
    assert.deepEqual(list(extract(context, path)), list(tree));
    try {
      execFileSync('mount', ['-t', 'erofs', '-o', 'loop,ro', path, mounted], { stdio: 'pipe' });
    } catch (error) {
      context.diagnostic(`the kernel mounts no EROFS here: ${String(error)}`);
      return;
    }
    try {
      assert.deepEqual(list(mounted), list(tree));
      assert.equal(readFileSync(join(mounted, 'lib/b'), 'utf8'), 'y'.repeat(100_000));
    } finally {
      execFileSync('umount', [mounted]);
    }
  });
});

describe('an image that is compared with what it was made of', () => {
  const path = (context: TestContext) => join(scratchDirectory(context), 'image');

  it('is good', async (context) => {
    assert.equal(await make(path(context)), undefined);
    const many = Array.from({ length: 1500 }, (_, at) => ({ name: `d/${'n'.repeat(at % 90)}${at}`, data: `${at}` }));
    assert.equal(await make(path(context), [tarOf(...many, { name: 'e/f/', type: '5' })]), undefined);
    assert.equal(await make(path(context), []), undefined);
  });

  /** Changes a byte of the first run of a letter, or of the last one. */
  const first = (text: string) => (image: Buffer) => changed(image, image.indexOf(text));
  const last = (text: string) => (image: Buffer) => changed(image, image.lastIndexOf(text) + text.length - 1);
  const changed = (image: Buffer, at: number) => {
    assert.ok(at > 0);
    image[at] = (image[at] ?? 0) ^ 1;
    return image;
  };
  const zeros = (image: Buffer) => {
    const at = image.indexOf('w'.repeat(8192));
    return image.fill(0, at, at + 8192);
  };
  for (const [what, change, found] of [
    ['in a block', first('y'.repeat(100)), /^\/usr\/lib\/b$/],
    ['in its last bytes', last('y'.repeat(100)), /^\/usr\/lib\/b$/],
    ['in a file of whole blocks', last('w'.repeat(100)), /^\/blocks$/],
    ['in a small file', first('lower'), /^\/etc\/a$/],
    ['in a name', first('name'), /^(\/long){50}\/oame$/],
    ['where zeros are in the place of a file', zeros, /^\/blocks$/],
    ['at its end, which is gone', (image: Buffer) => image.subarray(0, image.length / 2), /^\//],
    ['at its beginning', (image: Buffer) => image.fill(0, 1024, 1152), /^\/$/],
  ] as const)
    it(`is damaged ${what}`, async (context) => {
      assert.match((await make(path(context), LAYERS, change)) ?? 'good', found);
    });
});

describe('an image that cannot be made', () => {
  it('because the archive fails has the error of the archive', async (context) => {
    const failing = async function* () {
      yield tarOf({ name: 'a' }).subarray(0, 512);
      throw new RangeError('archive');
    };
    const path = join(scratchDirectory(context), 'image');
    await assert.rejects(makeErofs(failing(), { path, uuid: UUID }), RangeError);
  });

  it('because the program says no has what it says', async (context) => {
    const archive = async function* () {
      yield Buffer.alloc(100_000, 'x');
    };
    const path = join(scratchDirectory(context), 'image');
    await rejectsWith(makeErofs(archive(), { path, uuid: UUID }), 'erofs-failed', /mkfs\.erofs made no image: '.+'/);
  });

  it('because there is no program says which', () => {
    const find = () => findMkfs(() => undefined);
    throwsWith(find, 'erofs-missing', /mkfs\.erofs, which is not installed; install erofs-utils/);
  });

  /** Puts a program in the place of mkfs.erofs, and makes an image with it. */
  async function makeWith(context: TestContext, script: string, more: Partial<ErofsOptions> = {}): Promise<void> {
    const bin = scratchDirectory(context);
    writeFileSync(join(bin, 'mkfs.erofs'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    withEnvironment(context, { PATH: `${bin}:${process.env['PATH'] ?? ''}` });
    const archive = async function* () {
      yield tarOf({ name: 'a' });
    };
    await makeErofs(archive(), { path: join(bin, 'image'), uuid: UUID, ...more });
  }

  for (const [what, words, code, pattern] of [
    ['the disk is full', 'No space left on device', 'disk-full', /no space is left in/],
    ['a quota is full', 'Disk quota exceeded', 'disk-full', /no space is left in/],
    ['it gets no more memory', 'Cannot allocate memory', 'layer-too-large', /has memory for/],
  ] as const)
    it(`because ${what} says so`, async (context) => {
      await rejectsWith(makeWith(context, `exec >&2\necho ${words}\nexit 1`), code, pattern);
    });

  it('in the time that it may take ends the program', async (context) => {
    const making = makeWith(context, 'cat >/dev/null\nexec sleep 1000', { mostTime: 300 });
    await rejectsWith(making, 'erofs-failed', /no image within 1 minutes/);
  });

  it('with the memory that it may take has an end', async (context) => {
    const bin = scratchDirectory(context);
    // What the program may take is what it says.
    const making = makeWith(context, `ulimit -v >${bin}/limit\nexit 1`);
    await rejectsWith(making, 'erofs-failed');
    assert.ok(Number(readFileSync(join(bin, 'limit'), 'utf8')) <= 3 << 20);
  });

  it('because the work is called off when all is read ends the program', async (context) => {
    const controller = new AbortController();
    const { signal } = controller;
    const bin = scratchDirectory(context);
    execFileSync('mkfifo', [join(bin, 'fifo')]);
    const making = makeWith(context, `cat >/dev/null\necho read >${bin}/fifo\nexec sleep 1000`, { signal });
    const hasRead = readFile(join(bin, 'fifo')).then(() => controller.abort());
    await rejectsWith(making, 'aborted');
    await hasRead;
  });

  it('because the work is called off ends the program', async (context) => {
    const controller = new AbortController();
    const path = join(scratchDirectory(context), 'image');
    const archive = async function* () {
      yield tarOf({ name: 'a', size: 2 ** 33 }).subarray(0, 512);
      for (let at = 0; ; at += 1) {
        if (at === 20) controller.abort();
        yield Buffer.alloc(100_000);
      }
    };
    await rejectsWith(makeErofs(archive(), { path, uuid: UUID, signal: controller.signal }), 'aborted');
    const users = existsSync(path)
      ? execFileSync('sh', ['-c', `ls -l /proc/*/fd 2>/dev/null | grep -c '${path}' || true`])
      : '0';
    assert.equal(Number(users), 0);
  });
});

/** Baking images: names, directories, compressions, and interruptions. */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { createImage } from '../../../../src/image/create-ahead.js';
import { readImageInitrd } from '../../../../src/image/inspect/source.js';
import { verifyImage } from '../../../../src/image/inspect/verify.js';
import { INITRD_COMPRESSIONS } from '../../../../src/image/manifest.js';
import { pruneImages } from '../../../../src/image/remove/prune.js';
import { imageNamed, imageNames } from '../../../../src/image/store/names.js';
import { imageRef } from '../../../../src/image/store/open.js';
import { openImage } from '../../../../src/image/store/open-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { makeBzImage, makeKernel, makePayload, makeVmlinux } from '../../../helpers/kernel-files.js';
import { imageFiles, SETS, storeContents, type TestMachine, testMachine, VERSION } from '../../../helpers/machines.js';
import { programOf } from '../../../helpers/programs.js';
import { unlessRoot } from '../../../helpers/scratch.js';

/** Writes the kernel configuration where distributions put it. */
function configure(machine: TestMachine, ...options: readonly string[]): void {
  const text = ['CONFIG_BLK_DEV_INITRD=y', ...options].map((line) => `${line}\n`).join('');
  writeFileSync(join(machine.kernel, `../config-${VERSION}`), text);
}

const ALL = ['gzip', 'xz', 'zstd', 'lz4'].map((name) => `CONFIG_RD_${name.toUpperCase()}=y`);

describe('compression', () => {
  it('each one holds the same files, and suits the kernel', async (context) => {
    const machine = testMachine(context);
    configure(machine, ...ALL);
    let plain: unknown;
    for (const compression of INITRD_COMPRESSIONS) {
      const image = await createImage({ ...machine.options, compression });
      const { archives } = await readImageInitrd(image.directory);
      assert.deepEqual(
        archives.map((archive) => archive.compression),
        [compression],
      );
      plain ??= archives[0]?.entries;
      assert.deepEqual(archives[0]?.entries, plain, compression);
      assert.deepEqual(await verifyImage(imageRef(image.directory)), []);
      const again = await createImage({ ...machine.options, compression, rebuild: true });
      assert.equal(again.id, image.id, 'the same bytes');
    }
    assert.equal(storeContents(machine.store).images.length, INITRD_COMPRESSIONS.length);
  });

  it('xz uses the check that the kernel knows', async (context) => {
    const machine = testMachine(context);
    configure(machine, ...ALL);
    const { initrd } = await createImage({ ...machine.options, compression: 'xz' });
    // The stream flags behind the magic: the .xz format, 2.1.1.2. 1 is CRC32.
    assert.deepEqual([...readFileSync(initrd).subarray(6, 8)], [0, 1]);
  });

  it('one that the kernel cannot unpack is refused, and the error names the others', async (context) => {
    const machine = testMachine(context);
    configure(machine, 'CONFIG_RD_GZIP=y', 'CONFIG_RD_ZSTD=m', '# CONFIG_RD_XZ is not set');
    for (const compression of ['xz', 'zstd', 'lz4'] as const) {
      const option = new RegExp(`no CONFIG_RD_${compression.toUpperCase()}=y.*none, gzip$`);
      await rejectsWith(createImage({ ...machine.options, compression }), 'compression-unsupported', option);
    }
    await createImage({ ...machine.options, compression: 'gzip' });
    // The same compression is right with another kernel configuration.
    configure(machine, ...ALL);
    await createImage({ ...machine.options, compression: 'xz' });
  });

  it('the kernel configuration may be in the module tree', async (context) => {
    const machine = testMachine(context);
    writeFileSync(join(machine.tree, 'config'), 'CONFIG_RD_LZ4=y\n');
    await createImage({ ...machine.options, compression: 'lz4' });
  });

  it('the kernel configuration may be in the kernel', async (context) => {
    const machine = testMachine(context);
    const vmlinux = makeVmlinux({ version: VERSION });
    const config = Buffer.concat([Buffer.from('IKCFG_ST'), gzipSync('CONFIG_RD_ZSTD=y\n'), Buffer.from('IKCFG_ED')]);
    config.copy(vmlinux, 0x1000 + 16_384);
    writeFileSync(machine.kernel, makeBzImage({ version: VERSION, payload: makePayload('gzip', vmlinux) }));
    await createImage({ ...machine.options, compression: 'zstd' });
    await rejectsWith(createImage({ ...machine.options, compression: 'gzip' }), 'compression-unsupported');
  });

  it('without a kernel configuration only `none` is safe', async (context) => {
    const machine = testMachine(context);
    await rejectsWith(
      createImage({ ...machine.options, compression: 'gzip' }),
      'compression-unchecked',
      /CONFIG_RD_GZIP/,
    );
    await createImage({ ...machine.options, compression: 'none' });
  });
});

describe('names', () => {
  it('move from one image to another', async (context) => {
    const machine = testMachine(context);
    const first = await createImage({ ...machine.options, name: 'web' });
    const second = await createImage({ ...machine.options, sets: ['console'], name: 'web' });
    assert.notEqual(first.id, second.id);
    assert.equal(imageNamed(machine.store, 'web'), second.id);
    assert.deepEqual([...imageNames(machine.store)], [[second.id, ['web']]]);
  });

  it('that are ambiguous are refused before anything is built', async (context) => {
    const machine = testMachine(context);
    for (const name of ['', '-x', '.hidden', 'a/b', '..', 'a b', 'x'.repeat(65), '0123456789abcdef0123456789abcdef']) {
      await rejectsWith(createImage({ ...machine.options, name }), 'image-name-invalid');
    }
    assert.ok(!existsSync(machine.store));
  });

  it('open an image that has what is needed; so do ids and directories', async (context) => {
    const machine = testMachine(context);
    const output = join(machine.directory, 'out');
    const { id, directory } = await createImage({ ...machine.options, name: 'web', output });
    for (const called of ['web', id, id.slice(0, 6), directory, output]) {
      const image = await openImage(called, SETS, machine.store);
      assert.equal(image.id, id);
      assert.ok(existsSync(image.kernel) && existsSync(image.initrd));
    }
    await rejectsWith(
      openImage('web', [...SETS, 'network'], machine.store),
      'image-lacks',
      /without network/,
      /--with root-9p,network/,
    );
    await rejectsWith(openImage('other', SETS, machine.store), 'image-not-found', /choose one of web/);
    await rejectsWith(openImage('./nowhere', SETS, machine.store), 'image-not-found');
    await rejectsWith(openImage(machine.directory, SETS, machine.store), 'image-damaged', /no boot image/);
  });
});

describe('--output', () => {
  it('is the image, and replaces an older image but nothing else', async (context) => {
    const machine = testMachine(context);
    const output = join(machine.directory, 'out');
    const first = await createImage({ ...machine.options, output });
    assert.deepEqual(imageFiles({ directory: output }), imageFiles(first));
    const second = await createImage({ ...machine.options, sets: ['console'], output });
    assert.deepEqual(imageFiles({ directory: output }), imageFiles(second));
    assert.deepEqual(
      readdirSync(machine.directory).filter((name) => name.startsWith('.')),
      [],
    );
    const other = join(machine.directory, 'boot');
    await rejectsWith(createImage({ ...machine.options, output: other }), 'output-not-an-image');
    await rejectsWith(createImage({ ...machine.options, output: machine.kernel }), 'output-not-an-image');
    assert.deepEqual(readdirSync(other), [`vmlinuz-${VERSION}`]);
  });

  it('keeps the old image on a full disk, and leaves nothing else', {
    skip: unlessRoot('it mounts a small file system'),
  }, async (context) => {
    const machine = testMachine(context);
    const small = join(machine.directory, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=755', 'tmpfs', small]);
    try {
      const output = join(small, 'out');
      const first = await createImage({ ...machine.options, output });
      const before = imageFiles({ directory: output });
      writeFileSync(machine.kernel, makeKernel(VERSION, 'gzip', { textSize: 2 << 20 }));
      await rejectsWith(createImage({ ...machine.options, output }), 'disk-full', /small/, /free \d+ MB/);
      assert.deepEqual(imageFiles({ directory: output }), before);
      assert.deepEqual(readdirSync(small), ['out']);
      assert.equal((await openImage(output, SETS)).id, first.id);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});

describe('a file added to an image', () => {
  it('is there before the image gets its name and its directory', async (context) => {
    const machine = testMachine(context);
    const output = join(machine.directory, 'out');
    const seen: unknown[] = [];
    const complete = async (directory: string) => {
      seen.push(existsSync(output), existsSync(join(directory, 'manifest.json')), imageNamed(machine.store, 'web'));
      writeFileSync(join(directory, 'added'), 'added');
    };
    const { id } = await createImage({ ...machine.options, name: 'web', output, complete });
    assert.deepEqual(seen, [false, true, undefined]);
    assert.equal(imageNamed(machine.store, 'web'), id);
    assert.equal(readFileSync(join(output, 'added'), 'utf8'), 'added');
  });

  it('that fails leaves name and directory unchanged', async (context) => {
    const machine = testMachine(context);
    const output = join(machine.directory, 'out');
    const both = { ...machine.options, name: 'web', output };
    const add = async (directory: string) => writeFileSync(join(directory, 'added'), 'added');
    const { id } = await createImage({ ...both, complete: add });
    const before = imageFiles({ directory: output });
    const complete = async (directory: string) => {
      await add(directory);
      throw new Error('it cannot be baked');
    };
    await assert.rejects(createImage({ ...both, sets: ['console'], complete }), /it cannot be baked/);
    assert.equal(imageNamed(machine.store, 'web'), id);
    assert.deepEqual(imageFiles({ directory: output }), before);
    assert.deepEqual(
      readdirSync(machine.directory).filter((name) => name.startsWith('.')),
      [],
    );
  });
});

it('create killed at any moment leaves the old image or the new one, and the next create cleans up', async (context) => {
  const machine = testMachine(context);
  const output = join(machine.directory, 'out');
  const kernels = [makeKernel(VERSION, 'none', { textSize: 12 << 20 }), makeKernel(VERSION)] as const;
  // Old and new alternate: each image found is complete, and one of the two.
  const known = new Set<string>();
  for (const kernel of kernels) {
    writeFileSync(machine.kernel, kernel);
    known.add((await createImage({ ...machine.options, output, name: 'web' })).id);
  }
  const workspaces = () =>
    [machine.store, machine.directory].flatMap((at) => readdirSync(at).filter((name) => name.startsWith('.build-')));
  let caught = 0;
  for (let round = 0; round < 12; round += 1) {
    writeFileSync(machine.kernel, kernels[round % 2] ?? kernels[0]);
    const options = JSON.stringify({ ...machine.options, output, name: 'web', rebuild: true });
    const child = spawn(process.execPath, [programOf('create-image'), options], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const exited = once(child, 'exit');
    const left = new Set(workspaces());
    while (child.exitCode === null && workspaces().every((name) => left.has(name))) await delay(1);
    // From its first file to after its end, in steps that hit each part of the work.
    await Promise.race([delay(round * 10), exited]);
    child.kill('SIGKILL');
    await exited;
    if (workspaces().some((name) => !left.has(name))) caught += 1;
    const image = await openImage(output, SETS);
    assert.ok(known.has(image.id), `round ${round}`);
    assert.deepEqual(await verifyImage(imageRef(output)), [], `round ${round}`);
    const named = imageRef('web', machine.store);
    assert.ok(named.id !== undefined && known.has(named.id), `round ${round}`);
    assert.deepEqual(await verifyImage(named), [], `round ${round}`);
  }
  assert.ok(caught > 0, 'none was caught at work');
  await pruneImages(machine.store);
  assert.deepEqual(
    readdirSync(machine.directory).filter((name) => name.startsWith('.')),
    [],
  );
  assert.deepEqual(workspaces(), []);
  assert.deepEqual(storeContents(machine.store).other, []);
  assert.deepEqual(readdirSync(join(machine.store, '.outputs')), []);
  rmSync(output, { recursive: true });
});

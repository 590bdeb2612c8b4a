/** Reading modules: every packer, damage, and wrong trees. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { closureOf } from '../../../src/kmods/load-order.js';
import { type LoadedModule, readModules } from '../../../src/kmods/read.js';
import { readModuleTree } from '../../../src/kmods/tree.js';
import { forgetInputs } from '../../../src/util/input-log.js';
import { rejectsWith } from '../../helpers/errors.js';
import { flipByte, type Packer, packWith, unlessPacker } from '../../helpers/kernel-files.js';
import { makeModule, writeModuleTree } from '../../helpers/module-trees.js';
import { DEBIAN_KERNEL, scratchDirectory, unlessInstalled } from '../../helpers/scratch.js';

const VERSION = '6.1.0-test';
const MODULES = { 'x/a.ko': ['b-c'], 'x/b-c.ko': [] };

async function load(directory: string, version: string, ...names: string[]): Promise<LoadedModule[]> {
  const tree = await readModuleTree(directory, version, forgetInputs);
  return readModules(tree, await closureOf(tree, names), forgetInputs);
}

for (const packer of ['none', 'gzip', 'xz', 'zstd'] as const) {
  test(`modules packed with ${packer} are read byte for byte, in order`, {
    skip: unlessPacker(packer),
  }, async (context) => {
    const tree = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES, packer });
    const modules = await load(tree, VERSION, 'a');
    assert.deepEqual(
      modules.map((module) => [module.name, module.fileName]),
      [
        ['b_c', 'b-c.ko'],
        ['a', 'a.ko'],
      ],
    );
    assert.ok(modules[0]?.data.equals(makeModule('x/b-c.ko', VERSION)));
    assert.ok(modules[1]?.data.equals(makeModule('x/a.ko', VERSION)));
  });
}

test('modules that are too large are refused, alone and together', async (context) => {
  const directory = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES, packer: 'none' });
  const tree = await readModuleTree(directory, VERSION, forgetInputs);
  const order = await closureOf(tree, ['a']);
  const together = await rejectsWith(
    readModules(tree, order, forgetInputs, { each: 1 << 29, together: 100 }),
    'module-damaged',
  );
  assert.equal(together.message, 'the 2 modules have more than 100 bytes');
  // Sparse: it takes no space.
  truncateSync(join(directory, 'kernel/x/a.ko'), 2 ** 30);
  const alone = await rejectsWith(readModules(tree, order, forgetInputs), 'module-damaged');
  assert.match(alone.message, /a\.ko is damaged or truncated \(it has 1073741824 bytes\)/);
});

test("the real modules equal xz's output", {
  skip: unlessInstalled(DEBIAN_KERNEL) || unlessPacker('xz'),
}, async () => {
  const tree = `/lib/modules/${DEBIAN_KERNEL}`;
  const index = await readModuleTree(tree, DEBIAN_KERNEL, forgetInputs);
  const order = await closureOf(index, ['9p', '9pnet_virtio', 'virtio_net', 'ext4']);
  const modules = await readModules(index, order, forgetInputs);
  for (const [i, module] of modules.entries()) {
    const path = join(tree, order[i]?.path ?? '');
    assert.match(path, /\.ko\.xz$/);
    const expected = execFileSync('xz', ['-dc', path], { maxBuffer: 64 << 20 });
    assert.ok(module.data.equals(expected), module.name);
    assert.ok(module.data.includes('~Module signature appended~'), module.name);
  }
});

test('a large module that packs very well', { skip: unlessPacker('zstd') }, async (context) => {
  // Packed from a pipe, as here, its header has no size: the buffer must grow.
  const tree = writeModuleTree(scratchDirectory(context), {
    version: VERSION,
    modules: { 'x/a.ko': [] },
    packer: 'zstd',
  });
  const data = Buffer.concat([makeModule('x/a.ko', VERSION), Buffer.alloc(30 << 20)]);
  writeFileSync(join(tree, 'kernel/x/a.ko.zst'), packWith('zstd', data));
  assert.ok((await load(tree, VERSION, 'a'))[0]?.data.equals(data));
});

for (const packer of ['none', 'gzip', 'xz', 'zstd'] as const satisfies readonly Packer[]) {
  test(`a truncated or changed module packed with ${packer} names the file`, {
    skip: unlessPacker(packer),
  }, async (context) => {
    const tree = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: { 'x/a.ko': [] }, packer });
    const path = join(tree, 'kernel/x', { none: 'a.ko', gzip: 'a.ko.gz', xz: 'a.ko.xz', zstd: 'a.ko.zst' }[packer]);
    const whole = readFileSync(path);
    const expectDamage = (): Promise<unknown> =>
      rejectsWith(
        load(tree, VERSION, 'a'),
        'module-damaged',
        new RegExp(`^modules: module ${path} is damaged or truncated`),
      );
    for (const size of [0, 3, 70, 1000, 2900]) {
      writeFileSync(path, whole);
      truncateSync(path, size);
      await expectDamage();
    }
    writeFileSync(path, packer === 'none' ? flipByte(whole, 41) : flipByte(whole, whole.length >> 1));
    await expectDamage();
  });
}

for (const packer of ['none', 'gzip', 'xz', 'zstd'] as const satisfies readonly Packer[]) {
  test(`modules packed with ${packer} that are larger than their limit, alone or together`, {
    skip: unlessPacker(packer),
  }, async (context) => {
    const directory = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES, packer });
    const tree = await readModuleTree(directory, VERSION, forgetInputs);
    const order = await closureOf(tree, ['a']);
    const [first = 0, second = 0] = ['x/b-c.ko', 'x/a.ko'].map((path) => makeModule(path, VERSION).length);
    const within = (each: number, together: number) => readModules(tree, order, forgetInputs, { each, together });
    const both = first + second;
    assert.equal((await within(Math.max(first, second), both)).length, 2);
    // They are read side by side: if both are as large, either may be the first to fail.
    await rejectsWith(within(Math.max(first, second) - 1, both), 'module-damaged', /(?:a|b-c)\.ko.* is damaged/);
    await rejectsWith(within(both, both - 1), 'module-damaged', /the 2 modules have more than/);
  });
}

test('a module in the index without its file', async (context) => {
  const tree = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES });
  rmSync(join(tree, 'kernel/x/b-c.ko'));
  await rejectsWith(
    load(tree, VERSION, 'a'),
    'module-missing',
    /b-c\.ko is in modules\.dep but does not exist; install/,
  );
});

test('a module that is a directory', async (context) => {
  const tree = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES });
  writeFileSync(join(tree, 'modules.dep'), 'kernel/x:\n');
  await rejectsWith(load(tree, VERSION, 'x'), 'module-unreadable', /EISDIR/);
});

test("modules of another version in a tree with this version's name", async (context) => {
  const tree = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: MODULES });
  writeFileSync(join(tree, 'kernel/x/a.ko'), makeModule('x/a.ko', '6.1.0-other'));
  await rejectsWith(
    load(tree, VERSION, 'a'),
    'modules-other-version',
    /a\.ko was built for kernel 6\.1\.0-other, not for 6\.1\.0-test/,
  );
});

test('a tree outside the usual directory may name its modules by absolute paths', async (context) => {
  const directory = scratchDirectory(context);
  const tree = writeModuleTree(directory, { version: VERSION, modules: { 'x/a.ko': [] } });
  const elsewhere = join(directory, 'elsewhere.ko');
  writeFileSync(elsewhere, makeModule('elsewhere', VERSION));
  chmodSync(elsewhere, 0o644);
  writeFileSync(join(tree, 'modules.dep'), `${elsewhere}:\n`);
  assert.equal((await load(tree, VERSION, 'elsewhere'))[0]?.fileName, 'elsewhere.ko');
});

/** The modules that a set needs, in the order of loading, compared with modprobe. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { closureOf } from '../../../src/kmods/load-order.js';
import { AliasTable, parseDependencies, parseSoftDependencies } from '../../../src/kmods/parse.js';
import { type ModuleTree, readModuleTree, stateOf } from '../../../src/kmods/tree.js';
import { forgetInputs } from '../../../src/util/input-log.js';
import { rejectsWith } from '../../helpers/errors.js';
import { type TreeOptions, writeModuleTree } from '../../helpers/module-trees.js';
import { DEBIAN_CLOUD_KERNEL, DEBIAN_KERNEL, scratchDirectory, unlessInstalled } from '../../helpers/scratch.js';

const VERSION = '6.1.0-test';

async function treeOf(context: TestContext, options: Omit<TreeOptions, 'version'>): Promise<ModuleTree> {
  const directory = writeModuleTree(scratchDirectory(context), { version: VERSION, ...options });
  return readModuleTree(directory, VERSION, forgetInputs);
}

async function orderOf(tree: ModuleTree, ...names: string[]): Promise<string[]> {
  return (await closureOf(tree, names)).map((module) => module.name);
}

const realTree = (version: string): Promise<ModuleTree> =>
  readModuleTree(`/lib/modules/${version}`, version, forgetInputs);

test('dependencies come first, each module once', async (context) => {
  const tree = await treeOf(context, {
    modules: { 'x/a.ko': ['b', 'c', 'd'], 'x/b.ko': ['c', 'd'], 'x/c.ko': ['d'], 'x/d.ko': [], 'x/e.ko': ['d'] },
  });
  assert.deepEqual(await orderOf(tree, 'a', 'e'), ['d', 'c', 'b', 'a', 'e']);
  assert.deepEqual(await orderOf(tree, 'e', 'a'), ['d', 'e', 'c', 'b', 'a']);
});

test('a chain of any length is walked to its end', async () => {
  const count = 20_000;
  const numbers = Array.from({ length: count }, (_, index) => index);
  const none = new AliasTable();
  const tree: ModuleTree = {
    ...{ version: VERSION, directory: '/', builtin: new Set<string>(), weak: new Map() },
    modules: parseDependencies(numbers.map((number) => `m${number}.ko:\n`).join('')),
    soft: parseSoftDependencies(numbers.map((number) => `softdep m${number} pre: m${number + 1}\n`).join('')),
    ...{ aliases: async () => none, builtinAliases: async () => none },
  };
  const order = await orderOf(tree, 'm0');
  assert.equal(order.length, count);
  assert.deepEqual([order[0], order.at(-1)], [`m${count - 1}`, 'm0']);
});

test('names with - and _ are the same', async (context) => {
  const tree = await treeOf(context, { modules: { 'x/virtio-rng.ko': [] }, builtin: ['x/virtio_pci.ko'] });
  assert.deepEqual(await orderOf(tree, 'virtio_rng', 'virtio-rng'), ['virtio_rng']);
  assert.equal(stateOf(tree, 'virtio-rng'), 'module');
  assert.equal(stateOf(tree, 'virtio-pci'), 'built-in');
  assert.equal(stateOf(tree, 'virtio-mmio'), 'absent');
});

test('soft dependencies: pre before, post after, and missing ones ignored', async (context) => {
  const tree = await treeOf(context, {
    modules: { 'x/a.ko': ['d'], 'x/b.ko': [], 'x/c.ko': ['d'], 'x/d.ko': [] },
    softdep: 'softdep a pre: b nowhere post: c nowhere-else\n',
  });
  assert.deepEqual(await orderOf(tree, 'a'), ['d', 'b', 'a', 'c']);
});

test('a soft dependency of a dependency counts too', async (context) => {
  const tree = await treeOf(context, {
    modules: { 'x/ext4.ko': ['jbd2'], 'x/jbd2.ko': [], 'x/crc.ko': [] },
    softdep: 'softdep jbd2 pre: crc\n',
  });
  assert.deepEqual(await orderOf(tree, 'ext4'), ['crc', 'jbd2', 'ext4']);
});

test('a soft dependency may be an alias of one file, of several, or of a built-in', async (context) => {
  const options = {
    modules: { 'x/ext4.ko': [], 'x/crc32c-intel.ko': [], 'x/crc32c_generic.ko': [] },
    softdep: 'softdep ext4 pre: crypto-crc32c\n',
  };
  const files = await treeOf(context, {
    ...options,
    alias: 'alias crypto-crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\nalias other ext4\n',
  });
  assert.deepEqual(await orderOf(files, 'ext4'), ['crc32c_intel', 'crc32c_generic', 'ext4']);
  const builtin = await treeOf(context, {
    modules: { 'x/ext4.ko': [], 'x/crc32c-intel.ko': [] },
    softdep: options.softdep,
    alias: 'alias crypto-crc32c crc32c_intel\n',
    builtin: ['crypto/crc32c_generic.ko'],
    modinfo: ['crc32c_generic.alias=crypto-crc32c'],
  });
  assert.deepEqual(await orderOf(builtin, 'ext4'), ['ext4']);
});

test('weak dependencies are added when they exist', async (context) => {
  const tree = await treeOf(context, {
    modules: { 'x/a.ko': [], 'x/weak-one.ko': [] },
    weakdep: 'weakdep a weak-one nowhere\n',
  });
  assert.deepEqual(await orderOf(tree, 'a'), ['weak_one', 'a']);
});

test('circular dependencies end', async (context) => {
  const tree = await treeOf(context, {
    modules: { 'x/a.ko': [], 'x/b.ko': [], 'x/c.ko': ['d'], 'x/d.ko': ['c'] },
    softdep: 'softdep a pre: b\nsoftdep b pre: a post: b a\n',
  });
  assert.deepEqual(await orderOf(tree, 'a'), ['b', 'a']);
  assert.deepEqual((await orderOf(tree, 'c')).sort(), ['c', 'd']);
});

test('a record in modules.builtin.modinfo does not make a module built in', async (context) => {
  const tree = await treeOf(context, { modules: { 'x/core.ko': [] }, modinfo: ['core.parmtype=burst:uint'] });
  assert.equal(stateOf(tree, 'core'), 'module');
  assert.deepEqual(await orderOf(tree, 'core'), ['core']);
});

test('a built-in or absent module adds nothing', async (context) => {
  const tree = await treeOf(context, { modules: { 'x/a.ko': [] }, builtin: ['x/b.ko'] });
  assert.deepEqual(await orderOf(tree, 'a', 'b', 'c'), ['a']);
});

test('a corrupt modules.dep names the file, the line and the remedy', async (context) => {
  const directory = writeModuleTree(scratchDirectory(context), { version: VERSION, modules: { 'x/a.ko': ['gone'] } });
  const read = (): Promise<ModuleTree> => readModuleTree(directory, VERSION, forgetInputs);
  await rejectsWith(
    read(),
    'modules-dep-corrupt',
    /modules\.dep is corrupt: line 1 needs kernel\/absent\/gone\.ko/,
    /depmod 6\.1\.0-test/,
  );
  writeFileSync(join(directory, 'modules.dep'), 'kernel/x/a.ko:\nkernel/x\n');
  await rejectsWith(read(), 'modules-dep-corrupt', /line 2 has no ':'/);
  writeFileSync(join(directory, 'modules.dep'), Buffer.alloc(4096));
  await rejectsWith(read(), 'modules-dep-corrupt');
});

test('an incomplete or unreadable index', async (context) => {
  const directory = writeModuleTree(scratchDirectory(context), { version: VERSION });
  const read = (): Promise<ModuleTree> => readModuleTree(directory, VERSION, forgetInputs);
  assert.equal((await read()).modules.size, 0);
  rmSync(join(directory, 'modules.builtin'));
  await rejectsWith(read(), 'modules-not-indexed', /has no modules\.builtin/);
  rmSync(join(directory, 'modules.dep'));
  await rejectsWith(read(), 'modules-not-indexed', /has no modules\.dep/);
  await rejectsWith(readModuleTree('/proc/self/mem', VERSION, forgetInputs), 'modules-unreadable', /ENOTDIR/);
});

test('the real order for a 9p root', { skip: unlessInstalled(DEBIAN_KERNEL) }, async () => {
  assert.deepEqual(await orderOf(await realTree(DEBIAN_KERNEL), '9p', '9pnet_virtio', 'virtio_pci'), [
    'netfs',
    '9pnet',
    '9p',
    '9pnet_virtio',
  ]);
});

test('the real order of ext4 has the modules behind the alias first', {
  skip: unlessInstalled(DEBIAN_KERNEL),
}, async () => {
  const order = await orderOf(await realTree(DEBIAN_KERNEL), 'ext4');
  assert.ok(order.indexOf('crc32c_generic') >= 0);
  assert.ok(order.indexOf('crc32c_generic') < order.indexOf('ext4'));
  for (const name of ['crc16', 'mbcache', 'jbd2']) assert.ok(order.indexOf(name) < order.indexOf('ext4'), name);
  assert.equal(order.at(-1), 'ext4');
});

test('the order is that of modprobe', { skip: unlessInstalled(DEBIAN_KERNEL) || unlessModprobe() }, async () => {
  const tree = await realTree(DEBIAN_KERNEL);
  const names = ['9p', '9pnet_virtio', 'virtio_net', 'virtio_blk', 'overlay', 'nfsv4', 'vhost_vsock', 'ceph', 'btrfs'];
  for (const name of names) {
    const shown = execFileSync('modprobe', ['-S', DEBIAN_KERNEL, '--show-depends', '-C', '/dev/null', name], {
      encoding: 'utf8',
    });
    const paths = shown.split('\n').flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
    const ours = (await closureOf(tree, [name])).map((module) => join(tree.directory, module.path));
    // modprobe follows only the first softdep line of a module: btrfs has four.
    const seen = name === 'btrfs' ? ours.filter((path) => paths.includes(path)) : ours;
    assert.deepEqual(seen, paths, name);
  }
});

function unlessModprobe(): string | false {
  try {
    execFileSync('modprobe', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'modprobe is not installed';
  }
}

test('the cloud kernel has ext4 built in and no 9p', { skip: unlessInstalled(DEBIAN_CLOUD_KERNEL) }, async () => {
  const tree = await realTree(DEBIAN_CLOUD_KERNEL);
  assert.equal(stateOf(tree, 'ext4'), 'built-in');
  assert.equal(stateOf(tree, '9p'), 'absent');
  assert.equal(stateOf(tree, '9pnet_virtio'), 'absent');
  assert.equal(stateOf(tree, 'virtio_net'), 'module');
});

test('in the closure of every real module, dependencies come first', {
  skip: unlessInstalled(DEBIAN_KERNEL),
}, async () => {
  const tree = await realTree(DEBIAN_KERNEL);
  const order = await closureOf(tree, tree.modules.keys());
  assert.equal(order.length, tree.modules.size);
  const position = new Map(order.map((module, i) => [module.name, i]));
  for (const module of order) {
    for (const needed of module.dependencies) {
      assert.ok(
        (position.get(needed) ?? Infinity) < (position.get(module.name) ?? -1),
        `${needed} before ${module.name}`,
      );
    }
  }
});

/** A modules.dep truncated at a line end, which no single line shows. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ModuleTree, readModuleTree } from '../../../src/kmods/tree.js';
import { forgetInputs } from '../../../src/util/input-log.js';
import { rejectsWith } from '../../helpers/errors.js';
import { type TreeOptions, writeModuleTree } from '../../helpers/module-trees.js';
import { DEBIAN_CLOUD_KERNEL, DEBIAN_KERNEL, scratchDirectory, unlessInstalled } from '../../helpers/scratch.js';

const VERSION = '6.1.0-test';
const MODULES = { 'a/one.ko': [], 'b/two-x.ko': ['one'], 'b/three.ko': [] };
const ORDER = Object.keys(MODULES);

const read = (directory: string): Promise<ModuleTree> => readModuleTree(directory, VERSION, forgetInputs);

function treeWith(context: TestContext, dep: string, options: Omit<TreeOptions, 'version'> = {}): string {
  const tree = writeModuleTree(scratchDirectory(context), {
    version: VERSION,
    modules: MODULES,
    order: ORDER,
    packer: 'gzip',
    ...options,
  });
  writeFileSync(join(tree, 'modules.dep'), dep);
  return tree;
}

const ONE = 'kernel/a/one.ko.gz:\n';
const TWO = 'kernel/b/two-x.ko.gz: kernel/a/one.ko.gz\n';
const THREE = 'kernel/b/three.ko.gz:\n';

test('a truncated modules.dep', async (context) => {
  const cases = [
    ['', /modules\.dep is corrupt: it ends before kernel\/b\/three\.ko\.gz, which is there; run 'depmod 6\.1\.0-test'/],
    [ONE, /ends before kernel\/b\/three\.ko\.gz/],
    [ONE + TWO, /ends before kernel\/b\/three\.ko\.gz/],
  ] as const;
  for (const [dep, message] of cases) {
    await rejectsWith(read(treeWith(context, dep)), 'modules-dep-corrupt', message);
  }
});

test('a complete modules.dep', async (context) => {
  const cases: [string, string, Omit<TreeOptions, 'version'>, number][] = [
    ['as depmod writes it', ONE + TWO + THREE, {}, 3],
    ['with more than the kernel was built with', `${ONE + TWO + THREE}updates/more.ko:\n`, {}, 4],
    ['with another file for the last module', `${ONE + TWO}updates/three.ko:\n`, {}, 3],
    ['with - for _ in the list', ONE + TWO, { order: ['a/one.ko', 'b/two_x.ko'] }, 2],
    [
      'of a package that has not all that is listed',
      ONE + TWO,
      { order: [...ORDER.slice(0, 2), 'c/four.ko', 'b/five.ko'] },
      2,
    ],
    ['of a kernel that has everything in itself', '', { modules: {}, order: [], builtin: ['a/one.ko'] }, 0],
  ];
  for (const [name, dep, options, size] of cases) {
    assert.equal((await read(treeWith(context, dep, options))).modules.size, size, name);
  }
  const tree = treeWith(context, ONE);
  rmSync(join(tree, 'modules.order'));
  assert.equal((await read(tree)).modules.size, 1, 'without a list');
});

for (const version of [DEBIAN_KERNEL, DEBIAN_CLOUD_KERNEL]) {
  test(`the real tree of ${version}, complete and truncated at line ends`, {
    skip: unlessInstalled(version),
  }, async (context) => {
    const real = `/lib/modules/${version}`;
    const whole = await readModuleTree(real, version, forgetInputs);
    const tree = join(scratchDirectory(context), version);
    mkdirSync(tree);
    for (const name of ['kernel', 'modules.builtin', 'modules.order']) symlinkSync(join(real, name), join(tree, name));
    const lines = readFileSync(join(real, 'modules.dep'), 'latin1').split('\n');
    for (const kept of [0, 1, 100, lines.length - 3, lines.length - 2]) {
      const text = lines.slice(0, kept).map((line) => `${line}\n`);
      writeFileSync(join(tree, 'modules.dep'), text.join(''));
      // A cut may leave a line that needs a missing one; that has its own error.
      await rejectsWith(
        readModuleTree(tree, version, forgetInputs),
        'modules-dep-corrupt',
        /it ends before|no line of its own/,
      );
    }
    writeFileSync(join(tree, 'modules.dep'), lines.join('\n'));
    assert.equal((await readModuleTree(tree, version, forgetInputs)).modules.size, whole.modules.size);
  });
}

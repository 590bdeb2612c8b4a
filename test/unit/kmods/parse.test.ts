/** Parsing of a module tree's index: modules.dep, softdep, weakdep, builtin and aliases. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { moduleFileName, moduleNameOf, normalizeAlias } from '../../../src/kmods/names.js';
import {
  AliasTable,
  LineError,
  parseAliases,
  parseBuiltin,
  parseBuiltinAliases,
  parseDependencies,
  parseSoftDependencies,
  parseWeakDependencies,
} from '../../../src/kmods/parse.js';
import { elementsVisited } from '../../helpers/list-work.js';
import { DEBIAN_KERNEL, unlessInstalled } from '../../helpers/scratch.js';

test('module names', () => {
  assert.equal(moduleNameOf('kernel/drivers/char/hw_random/virtio-rng.ko.xz'), 'virtio_rng');
  assert.equal(moduleNameOf('9p.ko'), '9p');
  assert.equal(moduleFileName('kernel/drivers/char/hw_random/virtio-rng.ko.zst'), 'virtio-rng.ko');
  assert.equal(moduleFileName('/extra/a.ko.gz'), 'a.ko');
  assert.equal(normalizeAlias('usb:a-b[0-9]c-d'), 'usb:a_b[0-9]c_d');
});

test('modules.dep', () => {
  const modules = parseDependencies(
    '# comment\n\nkernel/fs/a.ko.xz: kernel/fs/b-c.ko.xz kernel/d.ko\nkernel/fs/b-c.ko.xz:\nkernel/d.ko: \n',
  );
  assert.deepEqual(modules.get('a'), { name: 'a', path: 'kernel/fs/a.ko.xz', dependencies: ['b_c', 'd'] });
  assert.deepEqual(modules.get('b_c')?.dependencies, []);
  assert.equal(modules.size, 3);
});

test('a corrupt modules.dep', () => {
  assert.throws(() => parseDependencies('a.ko:\nb.ko\n'), new LineError("line 2 has no ':'"));
  assert.throws(() => parseDependencies(': a.ko\n'), LineError);
  assert.throws(
    () => parseDependencies('a.ko:\nb.ko: a.ko c.ko\n'),
    /line 2 needs c\.ko, which has no line of its own/,
  );
  // As in a file cut in the middle of a line.
  assert.throws(() => parseDependencies('b.ko:\na.ko: kernel/b.ko kernel/lib/crc1'), /line 2/);
});

test('modules.softdep', () => {
  const soft = parseSoftDependencies(
    [
      '# Soft dependencies',
      'softdep ext4 pre: crypto-crc32c',
      'softdep cifs gcm',
      'softdep vfio post: vfio_iommu_type1 vfio-spapr',
      'softdep both pre: a b post: c pre: d',
      'softdep ext4 pre: second',
      'nonsense',
    ].join('\n'),
  );
  assert.deepEqual(soft.get('ext4'), { before: ['crypto_crc32c', 'second'], after: [] });
  assert.deepEqual(soft.get('cifs'), { before: [], after: [] });
  assert.deepEqual(soft.get('vfio')?.after, ['vfio_iommu_type1', 'vfio_spapr']);
  assert.deepEqual(soft.get('both'), { before: ['a', 'b', 'd'], after: ['c'] });
});

test('modules.weakdep', () => {
  const weak = parseWeakDependencies('# Weak\nweakdep a-b c d-e\nweakdep a_b f\n');
  assert.deepEqual(weak.get('a_b'), ['c', 'd_e', 'f']);
});

test('modules.builtin and modules.builtin.modinfo', () => {
  assert.deepEqual(parseBuiltin('kernel/fs/fuse/fuse.ko\nkernel/x/a-b.ko\n'), new Set(['fuse', 'a_b']));
  const aliases = parseBuiltinAliases(
    'fuse.license=GPL\0fuse.alias=fs-fuse\0x-y.parm=a:text=with\nlines\0crc-1.alias=crypto-crc32c\0\0damaged',
  );
  assert.deepEqual(aliases.lookUp('crypto_crc32c'), ['crc_1']);
  assert.deepEqual(aliases.lookUp('fs-fuse'), ['fuse']);
  assert.deepEqual(aliases.lookUp('GPL'), []);
});

test('aliases, plain and with wildcards', () => {
  const table = parseAliases(
    [
      'alias crypto-crc32c crc32c_intel',
      'alias crypto-crc32c crc32c-generic',
      'alias virtio:d00000009v* 9pnet_virtio',
      'alias usb:v1234p[0-9A-F]?[!x]z a',
      'alias a.b+c plain',
      'alias odd[ odd',
    ].join('\n'),
  );
  assert.deepEqual(table.lookUp('crypto_crc32c'), ['crc32c_intel', 'crc32c_generic']);
  assert.deepEqual(table.lookUp('crypto-crc32c'), ['crc32c_intel', 'crc32c_generic']);
  assert.deepEqual(table.lookUp('virtio:d00000009v00001AF4'), ['9pnet_virtio']);
  assert.deepEqual(table.lookUp('virtio:d00000001v00001AF4'), []);
  assert.deepEqual(table.lookUp('usb:v1234pA7yz'), ['a']);
  assert.deepEqual(table.lookUp('usb:v1234pA7xz'), []);
  assert.deepEqual(table.lookUp('usb:v1234pG7yz'), []);
  assert.deepEqual(table.lookUp('a.b+c'), ['plain']);
  assert.deepEqual(table.lookUp('aXb+c'), []);
  assert.deepEqual(table.lookUp('odd['), ['odd']);
  assert.deepEqual(new AliasTable().lookUp('x'), []);
});

test('the real index of a Debian kernel', { skip: unlessInstalled(DEBIAN_KERNEL) }, () => {
  const read = (name: string): string => readFileSync(`/lib/modules/${DEBIAN_KERNEL}/${name}`, 'latin1');
  const modules = parseDependencies(read('modules.dep'));
  assert.equal(modules.size, read('modules.dep').trimEnd().split('\n').length);
  assert.deepEqual(modules.get('9p')?.dependencies, ['9pnet', 'netfs']);
  assert.ok(parseBuiltin(read('modules.builtin')).has('virtio_pci'));
  assert.deepEqual(parseSoftDependencies(read('modules.softdep')).get('ext4')?.before, ['crypto_crc32c']);
  assert.ok(parseAliases(read('modules.alias')).lookUp('crypto-crc32c').includes('crc32c_generic'));
});

test('many lines about one name take no longer than others', () => {
  const count = 1000;
  const numbers = Array.from({ length: count }, (_, index) => index);
  const weak = numbers.map((number) => `weakdep a b${number}\n`).join('');
  const aliases = numbers.map((number) => `alias a b${number}\n`).join('');
  for (const work of [() => parseWeakDependencies(weak), () => parseAliases(aliases)]) {
    const visited = elementsVisited(work);
    assert.ok(visited < 20 * count, `${visited} elements for ${count} lines`);
  }
  assert.equal(parseAliases(aliases).lookUp('a').length, count);
  assert.equal(parseWeakDependencies(weak).get('a')?.length, count);
});

/** Module sets: the shipped ones, invalid ones, and the features of real kernels. */

import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { initrdEntries } from '../../../src/image/build/contents.js';
import {
  featureAbsentError,
  featureStates,
  missingFeature,
  modulesOf,
  parametersOf,
} from '../../../src/kmods/features.js';
import type { LoadedModule } from '../../../src/kmods/read.js';
import { reportFeatures } from '../../../src/kmods/report.js';
import { defaultSetsDirectory, readSets } from '../../../src/kmods/sets.js';
import { readModuleTree } from '../../../src/kmods/tree.js';
import { forgetInputs } from '../../../src/util/input-log.js';
import { rejectsWith } from '../../helpers/errors.js';
import { writeModuleTree } from '../../helpers/module-trees.js';
import { DEBIAN_CLOUD_KERNEL, DEBIAN_KERNEL, scratchDirectory, unlessInstalled } from '../../helpers/scratch.js';

const FILESYSTEMS = ['btrfs', 'erofs', 'ext4', 'iso9660', 'squashfs', 'vfat', 'xfs'].map(
  (name) => `filesystem-${name}`,
);
const NAMES = [
  'block',
  'console',
  ...FILESYSTEMS,
  'graphics',
  'network',
  'overlay',
  'root-9p',
  'root-virtiofs',
  'sound',
];

const treePath = (version: string): string => `/lib/modules/${version}`;

test('the package has these sets, and each is valid', async () => {
  const files = readdirSync(defaultSetsDirectory()).filter((name) => name.endsWith('.json'));
  assert.deepEqual(files.map((name) => name.replace('.json', '')).sort(), NAMES);
  const sets = await readSets(defaultSetsDirectory(), NAMES, forgetInputs);
  assert.deepEqual(
    sets.map((set) => set.name),
    NAMES,
  );
  for (const set of sets)
    assert.ok(
      set.features.some((feature) => feature.required),
      set.name,
    );
});

test('sets that do not exist, whatever the trick', async () => {
  for (const name of ['nothing', '../package', '', 'root-9p.json', 'Root-9p']) {
    await rejectsWith(
      readSets(defaultSetsDirectory(), [name], forgetInputs),
      'set-unknown',
      /use one of block, console, filesystem-btrfs, .*, network, overlay, root-9p, root-virtiofs/,
    );
  }
});

test('invalid sets say where', async (context) => {
  const directory = scratchDirectory(context);
  const feature = { title: 't', modules: ['a'], required: true, option: 'CONFIG_A' };
  const cases: [unknown, RegExp][] = [
    [{ title: 't' }, /features/],
    [{ title: 't', features: [] }, /features/],
    [{ title: 't', features: [{ ...feature, modules: ['a/b'] }] }, /features\.0\.modules\.0/],
    [{ title: 't', features: [{ ...feature, required: 'yes' }] }, /features\.0\.required/],
    [{ title: 't', features: [{ ...feature, extra: 1 }] }, /features\.0\.extra/],
    [{ title: 't', features: [{ ...feature, option: 'A' }] }, /features\.0\.option/],
    [{ title: 't', features: [{ ...feature, parameters: { a: 'b=1\n/modules/c.ko' } }] }, /features\.0\.parameters\.a/],
    [null, /the file/],
  ];
  for (const [value, pattern] of cases) {
    writeFileSync(join(directory, 'mine.json'), JSON.stringify(value));
    await rejectsWith(readSets(directory, ['mine'], forgetInputs), 'set-invalid', /mine\.json is not valid/, pattern);
  }
  writeFileSync(join(directory, 'mine.json'), '{');
  await rejectsWith(readSets(directory, ['mine'], forgetInputs), 'set-invalid');
});

test('a module has the parameters of its set', async () => {
  const sets = await readSets(defaultSetsDirectory(), ['console', 'sound'], forgetInputs);
  const parameters = parametersOf(sets);
  assert.deepEqual([...parameters.keys()], ['virtio_snd']);
  const [sound, other] = ['virtio_snd', 'other'].map((name) => ({
    name,
    fileName: `${name}.ko`,
    data: Buffer.alloc(1),
  }));
  const entries = initrdEntries(Buffer.alloc(1), [other, sound] as LoadedModule[], [], parameters);
  const order = entries.find(({ name }) => name === 'modules/order');
  assert.ok(order?.type === 'file');
  assert.match(order.content.toString(), /^\/modules\/other\.ko\n\/modules\/virtio_snd\.ko pcm_buffer_ms=\d+ \S+\n$/);
});

test('a feature is built in, a module, or absent', async (context) => {
  const directory = writeModuleTree(scratchDirectory(context), {
    version: '6.1.0',
    modules: { 'x/m-one.ko': [], 'x/m2.ko': [] },
    builtin: ['x/b1.ko', 'x/b-2.ko'],
  });
  const tree = await readModuleTree(directory, '6.1.0', forgetInputs);
  const feature = (title: string, required: boolean, ...modules: string[]) => ({
    title,
    required,
    modules,
    option: 'CONFIG_X',
  });
  const states = featureStates(tree, [
    {
      name: 'set',
      title: 't',
      features: [
        feature('all built in', true, 'b1', 'b_2'),
        feature('one of two a module', true, 'b1', 'm_one'),
        feature('one of two absent', false, 'm2', 'gone'),
        feature('absent', true, 'gone'),
      ],
    },
  ]);
  assert.deepEqual(
    states.map((state) => state.state),
    ['built-in', 'module', 'absent', 'absent'],
  );
  assert.deepEqual(states[1]?.modules, { b1: 'built-in', m_one: 'module' });
  assert.equal(missingFeature(states)?.title, 'absent');
  assert.deepEqual(modulesOf(states), ['m_one'], 'half an absent feature is of no use');
});

test('the error for an absent feature', () => {
  const feature = {
    set: 's',
    title: '9p file system',
    required: true,
    option: 'CONFIG_9P_FS',
    state: 'absent',
    modules: {},
  } as const;
  const alone = featureAbsentError('6.1.0-cloud', feature, []);
  assert.equal(
    alone.line,
    'modules: kernel 6.1.0-cloud has no 9p file system, neither built in nor as a module; install a kernel that is built with CONFIG_9P_FS (Debian: linux-image-amd64)',
  );
  assert.match(
    featureAbsentError('6.1.0-cloud', feature, ['6.1.0', '6.0']).line,
    /; use kernel 6\.1\.0, .*--kernver 6\.1\.0/,
  );
});

test('the real kernels', { skip: unlessInstalled(DEBIAN_KERNEL, DEBIAN_CLOUD_KERNEL) }, async () => {
  const statesIn = async (version: string): Promise<Record<string, string>> => {
    const states = await reportFeatures(version, treePath(version), NAMES);
    return Object.fromEntries(states.map((state) => [state.title, state.state]));
  };
  assert.deepEqual(await statesIn(DEBIAN_KERNEL), {
    'virtio disk': 'module',
    'Btrfs file system': 'module',
    'EROFS file system': 'module',
    'ext4 file system': 'module',
    'ISO 9660 file system': 'module',
    'SquashFS file system': 'module',
    'FAT file system': 'module',
    'code page 437, for short names of FAT': 'module',
    'ASCII names of FAT': 'module',
    'UTF-8 names of FAT': 'module',
    'XFS file system': 'module',
    'virtio graphics card': 'module',
    'virtio keyboard': 'module',
    'event devices': 'module',
    'virtio over PCI': 'built-in',
    'virtio serial port': 'built-in',
    'virtio network card': 'module',
    'packet socket, which DHCP clients use': 'built-in',
    'overlay file system': 'module',
    '9p file system': 'module',
    '9p transport over virtio': 'module',
    'virtiofs file system': 'built-in',
    'virtio sound card': 'module',
  });
  const cloud = await statesIn(DEBIAN_CLOUD_KERNEL);
  assert.equal(cloud['9p file system'], 'absent');
  assert.equal(cloud['virtio graphics card'], 'absent');
  assert.equal(cloud['virtio sound card'], 'absent');
  assert.equal(cloud['9p transport over virtio'], 'absent');
  assert.equal(cloud['ext4 file system'], 'built-in');
  assert.equal(cloud['virtiofs file system'], 'built-in');
});

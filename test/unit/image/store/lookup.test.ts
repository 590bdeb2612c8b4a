/** The index of the store: an image is found again without a build, unless an input has changed. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type BootImage, type ImageOptions, resolveImage } from '../../../../src/image/resolve.js';
import { lookUp, requestKey } from '../../../../src/image/store/lookup.js';
import { defaultSetsDirectory } from '../../../../src/kmods/sets.js';
import { InputRecorder, identityOf } from '../../../../src/util/input-log.js';
import { makeKernel } from '../../../helpers/kernel-files.js';
import { imageFiles, storeContents, testMachine, VERSION } from '../../../helpers/machines.js';
import { makeModule } from '../../../helpers/module-trees.js';
import { buildCommand } from '../../../helpers/programs.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** A file that changed within this time before a build is not trusted: see util/input-log.ts. Milliseconds. */
const SETTLED = 100;

/** True if the store answers the request without building anything. */
function isRemembered(options: ImageOptions): boolean {
  return lookUp(options.storeDirectory ?? '', requestKey(options, defaultSetsDirectory())) !== undefined;
}

interface Answer extends BootImage {
  readonly elapsed: number;
  readonly loaded: readonly string[];
}

function resolveInProcess(options: ImageOptions): Answer {
  const [program, ...args] = buildCommand(options);
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as Answer;
}

test('a new process finds the image again, and loads no decoder', async (context) => {
  const { options } = testMachine(context);
  await delay(SETTLED);
  const built = resolveInProcess(options);
  assert.equal(built.fresh, true);
  assert.ok(built.loaded.includes('cpio-stream'), 'the check for what is loaded works');
  const runs = Array.from({ length: 2 }, () => resolveInProcess(options));
  for (const found of runs) {
    assert.equal(found.fresh, false);
    assert.equal(found.id, built.id);
    assert.equal(found.reason, built.reason);
    assert.deepEqual(found.manifest, built.manifest);
    assert.equal(found.timings.kernel, undefined);
    assert.deepEqual(found.loaded, []);
  }
});

test('every change of an input is detected', async (context) => {
  const machine = testMachine(context);
  const { options } = machine;
  const { bootDirectory = '', modulesDirectory = '' } = options.searchPaths ?? {};
  await delay(SETTLED);
  let last = await resolveImage(options);
  const module = join(machine.tree, 'kernel/fs/9p/9p.ko.gz');

  /** Replaces the content by other content of the same size, and restores the old times. */
  const replaceSecretly = (path: string): void => {
    const reference = join(machine.directory, 'reference');
    execFileSync('cp', ['-p', path, reference]);
    const data = readFileSync(path);
    // The extra-flags byte of a gzip header changes the file, but not its content.
    data.writeUInt8(data.readUInt8(8) ^ 1, 8);
    writeFileSync(path, data);
    execFileSync('touch', ['-r', reference, path]);
  };

  const changes: [string, boolean, () => void][] = [
    [
      'another kernel of the same version',
      true,
      () => writeFileSync(machine.kernel, makeKernel(VERSION, 'gzip', { textSize: 80_000 })),
    ],
    ['another init', true, () => writeFileSync(machine.init, readFileSync('/bin/false'))],
    ['a module that unpacks to the same', false, () => replaceSecretly(module)],
    [
      'an index file that says the same',
      false,
      () => writeFileSync(join(machine.tree, 'modules.softdep'), '# nothing\n'),
    ],
    [
      'an index file that says more',
      true,
      () => writeFileSync(join(machine.tree, 'modules.softdep'), 'softdep 9p pre: extra\n'),
    ],
    [
      'a newer kernel that serves less',
      false,
      () => writeFileSync(join(bootDirectory, 'vmlinuz-6.9.0'), makeKernel('6.9.0')),
    ],
    ['a new module tree', false, () => mkdirSync(join(modulesDirectory, '6.9.0'))],
  ];
  writeFileSync(join(machine.tree, 'kernel/extra.ko'), makeModule('extra', VERSION));
  writeFileSync(
    join(machine.tree, 'modules.dep'),
    `${readFileSync(join(machine.tree, 'modules.dep'), 'latin1')}kernel/extra.ko:\n`,
  );
  last = await resolveImage(options);
  for (const [name, becomesOther, change] of changes) {
    await delay(SETTLED);
    await resolveImage(options);
    assert.ok(isRemembered(options), `remembered before: ${name}`);
    change();
    assert.ok(!isRemembered(options), `noticed: ${name}`);
    const next = await resolveImage(options);
    assert.equal(next.id !== last.id, becomesOther, name);
    assert.equal(next.fresh, becomesOther, name);
    last = next;
  }
  assert.deepEqual(
    last.manifest.modules.map((entry) => entry.name),
    ['netfs', '9pnet', 'extra', '9p', '9pnet_virtio'],
  );
});

test('an answer from a file that changed just now is not kept', async (context) => {
  const { init, options } = testMachine(context);
  await delay(SETTLED);
  // Changed before the build began, it might have settled by then. The first message comes before the init is looked at.
  const messages: string[] = [];
  const onProgress = (message: string) => {
    if (messages.push(message) === 1) copyFileSync('/bin/true', init);
  };
  await resolveImage({ ...options, onProgress });
  assert.match(messages[0] ?? '', /^using /);
  assert.ok(!isRemembered(options));
  assert.equal((await resolveImage(options)).fresh, false, 'the image itself is found by its content');
});

test('different requests have different keys', (context) => {
  const { options } = testMachine(context);
  const key = (changed: Partial<ImageOptions>): string => requestKey({ ...options, ...changed }, '/sets');
  const keys = [
    key({}),
    key({ sets: ['root-9p', 'console'] }),
    key({ nativeInit: '/other' }),
    key({ kernel: { ...options.kernel, version: '6' } }),
    key({ kernel: { ...options.kernel, path: '6' } }),
    key({ kernel: { ...options.kernel, modulesPath: '6' } }),
    key({ searchPaths: { ...options.searchPaths, release: 'other' } }),
    requestKey(options, '/other-sets'),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(key({ onProgress: () => {}, storeDirectory: '/x' }), key({}));
});

test('a damaged image is built again', async (context) => {
  const machine = testMachine(context);
  await delay(SETTLED);
  const built = await resolveImage(machine.options);
  const files = imageFiles(built);
  assert.ok(isRemembered(machine.options));
  const path = (name: string): string => join(built.directory, name);
  const damages: [string, () => void][] = [
    ['no initrd', () => rmSync(path('initrd'))],
    ['a short kernel', () => truncateSync(path('vmlinux'), 5000)],
    [
      'a directory instead of a file',
      () => {
        rmSync(path('initrd'));
        mkdirSync(path('initrd'));
      },
    ],
    ['no manifest', () => rmSync(path('manifest.json'))],
    [
      'a changed manifest',
      () =>
        writeFileSync(
          path('manifest.json'),
          readFileSync(path('manifest.json'), 'utf8').replace(VERSION, '9.9.9-test'),
        ),
    ],
    ['an empty manifest', () => truncateSync(path('manifest.json'), 0)],
    ['no image', () => rmSync(built.directory, { recursive: true })],
    [
      'an empty directory',
      () => {
        rmSync(built.directory, { recursive: true });
        mkdirSync(built.directory);
      },
    ],
  ];
  for (const [name, damage] of damages) {
    damage();
    const again = await resolveImage(machine.options);
    assert.equal(again.fresh, true, name);
    assert.equal(again.id, built.id, name);
    assert.deepEqual(imageFiles(again), files, name);
    assert.equal((await resolveImage(machine.options)).fresh, false, name);
  }
});

test('a damaged index only costs time', async (context) => {
  const machine = testMachine(context);
  await delay(SETTLED);
  const built = await resolveImage(machine.options);
  const index = join(machine.store, '.index');
  const [name = ''] = readdirSync(index);
  const good = readFileSync(join(index, name), 'utf8');
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{}',
    good.replace('"format":1', '"format":0'),
    good.replace(/"image":"\w+"/, '"image":"../x"'),
  ]) {
    writeFileSync(join(index, name), text);
    const again = await resolveImage(machine.options);
    assert.equal(again.fresh, false);
    assert.equal(again.id, built.id);
  }
});

test('rebuild builds again', async (context) => {
  const { options } = testMachine(context);
  const built = await resolveImage(options);
  const files = imageFiles(built);
  const again = await resolveImage({ ...options, rebuild: true });
  assert.equal(again.fresh, true);
  assert.deepEqual(imageFiles(again), files);
  assert.deepEqual(storeContents(options.storeDirectory ?? '').workspaces, []);
});

test('the identity of a file', async (context) => {
  const path = join(scratchDirectory(context), 'file');
  assert.equal(identityOf(path), 'absent');
  // Taken behind the write, it might be so late that the file has settled.
  const startedAt = Date.now();
  writeFileSync(path, 'a');
  const first = identityOf(path);
  assert.equal(identityOf(path), first);
  const fresh = new InputRecorder();
  fresh.note(path);
  assert.ok(!fresh.isSettled(startedAt));
  assert.ok(fresh.isSettled(Date.now() + 5000));
  execFileSync('cp', ['-p', path, `${path}.reference`]);
  await delay(20);
  writeFileSync(path, 'b');
  execFileSync('touch', ['-r', `${path}.reference`, path]);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, statSync(`${path}.reference`, { bigint: true }).mtimeNs);
  assert.notEqual(identityOf(path), first);
  fresh.note(path);
  assert.deepEqual(fresh.entries(), [[path, first]], 'the first look counts');
  assert.equal(identityOf('/dev/null/x'), 'ENOTDIR');
});

/** The grammar of `--include`, its files, and the mount that each include goes to. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { attachIncludes, includesOf, parseInclude, readIncludeFile } from '../../../../src/config/parsers/include.js';
import { parseMount } from '../../../../src/config/parsers/mount.js';
import { covers } from '../../../../src/config/path.js';
import { refuses, temporaryDirectory } from '../support.js';

test('includes', async () => {
  assert.deepEqual(parseInclude('/etc/motd'), { target: '/etc/motd', source: '/etc/motd' });
  assert.deepEqual(parseInclude('/etc/motd=/srv/a=b'), { target: '/etc/motd', source: '/srv/a=b' });
  assert.deepEqual(parseInclude('/etc/motd=motd'), { target: '/etc/motd', source: resolve('motd') });
  await refuses(() => parseInclude(''), 'arguments', 'include-target-not-absolute', '""');
  await refuses(() => parseInclude('motd'), 'arguments', 'include-target-not-absolute', '"motd"');
  await refuses(() => parseInclude('motd=/etc/motd'), 'arguments', 'include-target-not-absolute', '"motd"');
  await refuses(() => parseInclude('=/etc/motd'), 'arguments', 'include-target-not-absolute', '"=/etc/motd"');
  await refuses(() => parseInclude('/etc/motd='), 'arguments', 'include-source-missing', '"/etc/motd="');
});

test('an include file has one include a line', async (t) => {
  const path = join(await temporaryDirectory(t), 'includes');
  await writeFile(path, '# first\n/a\n\n   \n/b=/srv/b c\r\n#/c\n/d');
  assert.deepEqual(await readIncludeFile(path), [
    { target: '/a', source: '/a' },
    { target: '/b', source: '/srv/b c' },
    { target: '/d', source: '/d' },
  ]);
  await writeFile(path, '/a\nb\n');
  await refuses(() => readIncludeFile(path), 'arguments', 'include-target-not-absolute', '"b"');
});

test('an unreadable include file is named', async (t) => {
  const path = join(await temporaryDirectory(t), 'absent');
  await refuses(() => readIncludeFile(path), 'arguments', 'include-file-unreadable', path);
});

test('a mount covers the paths below it', () => {
  const table: [string, string, boolean][] = [
    ['/', '/anything', true],
    ['/', '/', true],
    ['/mnt', '/mnt', true],
    ['/mnt', '/mnt/a/b', true],
    ['/mnt/', '/mnt/a', true],
    ['//mnt/./', '/x/../mnt/a', true],
    ['/mnt', '/mnta', false],
    ['/mnt', '/mnt/../etc', false],
    ['/mnt/a', '/mnt', false],
  ];
  for (const [target, path, expected] of table) assert.equal(covers(target, path), expected, `${target} ${path}`);
});

test('an include goes to the longest target above it', async () => {
  const mounts = ['host-bind:/var=', 'host-bind:/var/lib=', 'host-bind:/va=', 'ram:/var/lib=1M'].map(parseMount);
  const includes = ['/var/x', '/var/lib/y', '/var/library', '/var/lib'].map(parseInclude);
  const attached = attachIncludes(mounts, includes);
  const placed = includesOf(attached).map(({ mount, include }) => [attached.indexOf(mount), include.target]);
  // The second mount on /var/lib hides the first.
  assert.deepEqual(placed.sort(), [
    [0, '/var/library'],
    [0, '/var/x'],
    [3, '/var/lib'],
    [3, '/var/lib/y'],
  ]);
  assert.deepEqual(attachIncludes(mounts, []), mounts);
  await refuses(
    () => attachIncludes(mounts, [parseInclude('/etc/motd')]),
    'arguments',
    'include-not-covered',
    '"/etc/motd"',
  );
  await refuses(() => attachIncludes([], [parseInclude('/v')]), 'arguments', 'include-not-covered', '"/v"');
});

test('an include inside another one comes after it, whatever their order', () => {
  const mounts = ['host-bind:/a=', 'ram:/a/b=1M'].map(parseMount);
  for (const given of [
    ['/a/x=/1', '/a/x/y=/2', '/a/b=/3', '/a/b/c/d=/4', '/a/b/c=/5'],
    ['/a/b/c/d=/4', '/a/b/c=/5', '/a/b=/3', '/a/x/y=/2', '/a/x=/1'],
  ]) {
    const targets = includesOf(attachIncludes(mounts, given.map(parseInclude))).map(({ include }) => include.target);
    for (const [above, below] of [
      ['/a/x', '/a/x/y'],
      ['/a/b', '/a/b/c'],
      ['/a/b/c', '/a/b/c/d'],
    ] as const) {
      assert.ok(targets.indexOf(above) < targets.indexOf(below), `${above} before ${below} in ${targets.join(' ')}`);
    }
  }
});

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { attachIncludes, parseInclude, readIncludeFile } from '../../src/config/include.js';
import { parseMount } from '../../src/config/mount.js';
import { covers } from '../../src/config/path.js';
import { refuses, temporaryDirectory } from './config-support.js';

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

test('an include file has one a line', async (t) => {
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

test('an include file that cannot be read is named', async (t) => {
  const path = join(await temporaryDirectory(t), 'absent');
  await refuses(() => readIncludeFile(path), 'arguments', 'include-file-unreadable', path);
});

test('a mount covers what is below it', () => {
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
  const attached = attachIncludes(mounts, includes).map((mount) => mount.includes.map(({ target }) => target));
  // The second mount on /var/lib hides the first.
  assert.deepEqual(attached, [['/var/x', '/var/library'], [], [], ['/var/lib/y', '/var/lib']]);
  assert.deepEqual(attachIncludes(mounts, []), mounts);
  await refuses(
    () => attachIncludes(mounts, [parseInclude('/etc/motd')]),
    'arguments',
    'include-not-covered',
    '"/etc/motd"',
  );
  await refuses(() => attachIncludes([], [parseInclude('/v')]), 'arguments', 'include-not-covered', '"/v"');
});

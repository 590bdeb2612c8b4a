/** The grammar of `--include` and of its files. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { parseInclude, readIncludeFile } from '../../../../src/config/parsers/include.js';
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

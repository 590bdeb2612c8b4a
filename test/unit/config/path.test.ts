/** Which paths a mount covers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers } from '../../../src/config/path.js';

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

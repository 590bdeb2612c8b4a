/** The order of kernel versions. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareVersions } from '../../../src/kernel/version.js';

test('kernel versions sort in ascending order', () => {
  const ascending = [
    '5.10.0-9-amd64',
    '5.10.0-30-amd64',
    '6.1.0-13-amd64',
    '6.9.12-200.fc40.x86_64',
    '6.12-rc3-amd64',
    '6.12-rc10-amd64',
    '6.12-amd64',
    '6.12.9+deb13-amd64',
    '6.12.118+deb13-cloud-amd64',
    '6.12.118+deb13-rt-amd64',
    '6.12.118+deb13-amd64',
    '6.12.119+deb13-cloud-amd64',
    '6.18.44-fc-v669',
    '10.0.1',
  ];
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) {
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} against ${b}`);
    }
  }
});

test('a longer version comes after its own prefix', () => {
  assert.ok(compareVersions('6.12.1', '6.12') > 0);
  assert.ok(compareVersions('6.12', '6.12-rc1') > 0);
});

test('numbers too large for a double are still compared exactly', () => {
  assert.ok(compareVersions('6.20251124000000000001', '6.20251124000000000002') < 0);
});

/** The two paths of `virt-sandbox-ctl cp`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf } from '../../../../src/cli/ctl/copy-paths.js';
import { refuses } from '../../config/support.js';

const runs = async (name: string) => ['box', 'a:b', 'nobody/box'].includes(name);

test('one of both is in a sandbox', async () => {
  const up = { direction: 'upload' } as const;
  const down = { direction: 'download' } as const;
  for (const [from, to, copy] of [
    ['file', 'box:/tmp', { sandbox: 'box', pathInside: '/tmp', hostPath: 'file', ...up }],
    ['box:/tmp/.', '.', { sandbox: 'box', pathInside: '/tmp/.', hostPath: '.', ...down }],
    ['box:tmp/x', '/dir', { sandbox: 'box', pathInside: '/tmp/x', hostPath: '/dir', ...down }],
    ['./box:x', 'box:/x', { sandbox: 'box', pathInside: '/x', hostPath: './box:x', ...up }],
    ['/box:x', 'box:/x:y', { sandbox: 'box', pathInside: '/x:y', hostPath: '/box:x', ...up }],
    ['nobody/box:/x', '..', { sandbox: 'nobody/box', pathInside: '/x', hostPath: '..', ...down }],
    // A name with a colon counts if it runs; one that does not run is the sandbox that is missing.
    ['a:b:/x', 'y', { sandbox: 'a:b', pathInside: '/x', hostPath: 'y', ...down }],
    ['gone:/x', 'y', { sandbox: 'gone', pathInside: '/x', hostPath: 'y', ...down }],
  ] as const) {
    assert.deepEqual(await copyOf(from, to, runs), copy);
  }
});

for (const [from, to, says] of [
  ['a', 'b', 'NAME:PATH'],
  ['box:/a', 'box:/b', 'both'],
  ['box:', 'b', 'no path'],
  [':/x', 'b', 'NAME:PATH'],
  ['-', 'box:/x', 'tar -xC'],
  ['box:/x', '-', 'tar -cC'],
] as const) {
  test(`${from} ${to}`, () => refuses(() => copyOf(from, to, runs), 'arguments', 'usage', says));
}

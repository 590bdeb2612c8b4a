/** The two paths of `virt-sandbox-ctl cp`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf } from '../../../../src/cli/ctl/copy-paths.js';
import { archiveCommand } from '../../../../src/cli/ctl/cp-tar.js';
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
    ['-', 'a:b:tmp', { sandbox: 'a:b', direction: 'extract', pathInside: '/tmp' }],
    ['box:/tmp/.', '-', { sandbox: 'box', direction: 'archive', pathInside: '/tmp/.' }],
  ] as const) {
    assert.deepEqual(await copyOf(from, to, runs), copy);
  }
});

test('a tar has the name of what is in it, or of nothing', () => {
  for (const [path, directory, name] of [
    ['/tmp/tree', '/tmp', 'tree'],
    ['/tmp/tree/', '/tmp', 'tree'],
    ['/tmp/-x', '/tmp', '-x'],
    ['/tmp', '/', 'tmp'],
    ['/tmp/.', '/tmp/.', '.'],
    ['/', '/', '.'],
    ['//', '//', '.'],
  ] as const)
    assert.deepEqual(archiveCommand(path), ['tar', '-c', '-f', '-', '-C', directory, '--', name]);
});

for (const [from, to, says] of [
  ['a', 'b', 'NAME:PATH'],
  ['box:/a', 'box:/b', 'both'],
  ['box:', 'b', 'no path'],
  [':/x', 'b', 'NAME:PATH'],
  ['-', '/x', 'NAME:PATH'],
  ['./box:x', '-', 'NAME:PATH'],
  ['-', '-', 'NAME:PATH'],
  ['-', 'box:', 'no path'],
] as const) {
  test(`${from} ${to}`, () => refuses(() => copyOf(from, to, runs), 'arguments', 'usage', says));
}

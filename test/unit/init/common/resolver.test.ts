/** The common init creates /etc/resolv.conf on a root without one, in a guest that has no such file. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { setUpResolver } from '../../../../init/common/resolver.js';
import { type Guest, type Operation, OperationError } from '../../../../src/protocol/operations.js';

const ENOENT = 2;
const NAMES = { servers: ['192.0.2.1'], search: [] };

function ram(target: string): GuestConfig['mounts'][number] {
  return { type: 'ram', target, bytes: 1 << 20 };
}

function bind(target: string): GuestConfig['mounts'][number] {
  return { type: 'virtiofs', tag: 'mount', target, readOnly: false };
}

async function written(mounts: GuestConfig['mounts']): Promise<string[]> {
  const paths: string[] = [];
  const call = async (operation: Operation) => {
    if (operation.op === 'stat') throw new OperationError('stat', ENOENT, 'no such file');
    if (operation.op === 'writeFile') paths.push(operation.path);
    return { microseconds: 0, value: undefined };
  };
  const config = { root: { type: '9p', tag: 'root', readOnly: true }, mounts } as unknown as GuestConfig;
  const lack = await setUpResolver({ call } as Guest, config, NAMES);
  assert.equal(lack === undefined, paths.length > 0);
  return paths;
}

for (const target of ['/etc', '/etc/', '//etc//.', '/srv/../etc', '/']) {
  test(`it is created in memory, however the mount is spelled: ${target}`, async () => {
    assert.deepEqual(await written([ram(target)]), ['/etc/resolv.conf']);
  });
}

test('it is created nowhere else', async () => {
  assert.deepEqual(await written([]), []);
  assert.deepEqual(await written([ram('/etcetera/'), ram('/e')]), []);
  // The later of two mounts on one target is visible.
  assert.deepEqual(await written([ram('/etc/'), bind('/etc')]), []);
  assert.deepEqual(await written([bind('/etc//'), ram('/etc')]), ['/etc/resolv.conf']);
});

test('a link is followed from its own directory', async () => {
  const links = new Map([
    ['/etc/resolv.conf', '../run/./resolver/stub.conf'],
    ['/run/resolver/stub.conf', '/var//run/dns/../resolv.conf'],
  ]);
  const paths: string[] = [];
  const call = async (operation: Operation) => {
    if (operation.op === 'stat' && (operation.follow || !links.has(operation.path)))
      throw new OperationError('stat', ENOENT, 'no such file');
    if (operation.op === 'writeFile') paths.push(operation.path);
    return { microseconds: 0, value: operation.op === 'readLink' ? links.get(operation.path) : undefined };
  };
  const config = { root: { type: '9p', tag: 'root', readOnly: true }, mounts: [] } as unknown as GuestConfig;
  assert.equal(await setUpResolver({ call } as Guest, config, NAMES), undefined);
  // /var/run is taken for the link to /run that it is almost everywhere.
  assert.deepEqual(paths, ['/var/run/resolv.conf']);
});

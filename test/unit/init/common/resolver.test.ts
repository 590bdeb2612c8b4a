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

/** Where it is written, on a root with those links. */
async function writtenOver(links: Readonly<Record<string, string>>, mounts: GuestConfig['mounts'] = []) {
  const paths: string[] = [];
  const call = async (operation: Operation) => {
    const answer = (value: unknown) => ({ microseconds: 0, value });
    if (operation.op === 'stat' && !operation.follow && operation.path in links) return answer({ mode: 0o120_777 });
    if (operation.op === 'stat') throw new OperationError('stat', ENOENT, 'no such file');
    if (operation.op === 'writeFile') paths.push(operation.path);
    return answer(operation.op === 'readLink' ? links[operation.path] : undefined);
  };
  const config = { root: { type: '9p', tag: 'root', readOnly: true }, mounts } as unknown as GuestConfig;
  const lack = await setUpResolver({ call } as Guest, config, NAMES);
  assert.equal(lack === undefined, paths.length > 0);
  return paths;
}

test('a link is followed from its own directory', async () => {
  const links = {
    '/etc/resolv.conf': '../run/./resolver/stub.conf',
    '/run/resolver/stub.conf': '/var//run/dns/../resolv.conf',
    '/var/run': '../run',
  };
  assert.deepEqual(await writtenOver(links), ['/run/resolv.conf']);
});

test('it is not written where a link leads out of memory', async () => {
  const mounts = [bind('/mnt')];
  for (const links of [
    { '/etc/resolv.conf': '/var/run/name', '/var/run': '/mnt/dir' },
    { '/etc/resolv.conf': '/run/dir/name', '/run/dir': '../mnt' },
    { '/etc/resolv.conf': '/var/run/name' },
    { '/etc': 'run/../mnt' },
    { '/etc': 'etc' },
  ])
    assert.deepEqual(await writtenOver(links, mounts), [], JSON.stringify(links));
});

/** What is hidden of the root, and what of it a container covers. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { callerIdentity } from '../../../../src/config/identity.js';
import type { SandboxConfig } from '../../../../src/config/types.js';
import {
  coveredPaths,
  hiddenPaths,
  hidingOf,
  placesInContainer,
} from '../../../../src/sandbox/devices/hidden-paths.js';
import { originOf } from '../../../../src/sandbox/devices/host-mounts.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

async function sandboxOn(root: string, changes: Partial<SandboxConfig>, home = '/home/ada'): Promise<SandboxConfig> {
  const config = defaultConfig({ ...(await callerIdentity()), home });
  return { ...config, root: { type: 'directory', path: root }, hidden: { secrets: false, paths: [] }, ...changes };
}

test('a link in what is hidden hides what it leads to', async (t) => {
  const root = scratchDirectory(t);
  for (const path of ['home/ada/own', 'data/ada-ssh', 'data/net', 'a'])
    mkdirSync(join(root, path), { recursive: true });
  symlinkSync('/data/ada-ssh', join(root, 'home/ada/.ssh'));
  symlinkSync('../../../data/net', join(root, 'home/ada/own/net'));
  symlinkSync('/home/ada/own', join(root, 'link'));
  const home = { type: 'tmp' } as const;
  const secrets = hiddenPaths(await sandboxOn(root, { home, hidden: { secrets: true, paths: [] } }));
  assert.ok(secrets.includes('/data/ada-ssh'), secrets.join(' '));
  assert.ok(secrets.includes('/home/ada'));
  assert.ok(secrets.every((path) => !path.startsWith('/home/ada/')));
  const named = { secrets: false, paths: ['/home', '/home/ada/own/net', '/link', '/home/./ada/'] };
  assert.deepEqual(hiddenPaths(await sandboxOn(root, { hidden: named })), ['/home', '/data/net']);
});

test('what the system needs is not hidden for the sake of a home', async (t) => {
  const root = scratchDirectory(t);
  const home = process.env['HOME'];
  t.after(() => {
    if (home === undefined) delete process.env['HOME'];
    else process.env['HOME'] = home;
  });
  process.env['HOME'] = '/usr/sbin';
  const paths = hiddenPaths(await sandboxOn(root, { home: { type: 'tmp' } }));
  assert.ok(paths.includes('/home/ada') && !paths.includes('/usr/sbin'), paths.join(' '));
});

test('a container covers nothing below what is mounted before', async (t) => {
  const root = scratchDirectory(t);
  for (const path of ['tmp/ada', 'var/run/ada', 'data/ada']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'data/file'), '');
  symlinkSync('var/run', join(root, 'run'));
  symlinkSync('/tmp/ada', join(root, 'data/link'));
  const paths = ['/tmp/ada', '/run/ada', '/data/link', '/data/ada', '/data/file', '/data/gone'];
  assert.deepEqual(coveredPaths(await sandboxOn(root, { hidden: { secrets: false, paths } })), [
    { path: '/data/ada', isDirectory: true },
    { path: '/data/file', isDirectory: false },
  ]);
});

test('a home is found where the mounts of a container show it, whatever the host has there', async (t) => {
  const root = scratchDirectory(t);
  const home = join(root, 'home/ada');
  mkdirSync(home, { recursive: true });
  const config = await sandboxOn('/', { home: { type: 'tmp' } }, home);
  const origin = originOf(home);
  assert.ok(origin !== undefined && hidingOf(config).homes.some(({ path }) => path === origin.path));
  const { device, path } = origin;
  const line = (point: string, from: string, of = device) => `1 2 ${of} ${from} ${point} rw - ext4 /dev/x rw`;
  const table = [
    line('/', '/'),
    line('/newroot/mnt', path),
    line('/newroot/all', dirname(path)),
    line('/newroot/other', path, '9:9'),
    line('/newroot/part', `${path}/part`),
    // The common init mounts something over it.
    line('/newroot/tmp/ada', path),
    // What the container's own start has.
    line('/dev/.sandbox/0', path),
  ].join('\n');
  assert.deepEqual(placesInContainer(config, [origin], `${table}\n`, '/newroot'), ['/mnt', '/all/ada']);
});

/** Where includes go inside, past links. */
import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { InsideMount, type LinkRules } from '../../../src/includes/inside-mount.js';
import { type Guest, OperationError } from '../../../src/protocol/operations.js';
import { valueOr } from '../../../src/util/errors.js';
import { rejectsWith } from '../../helpers/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** A guest whose root is a directory: links by what they lead to, files with an empty text. */
function guestWith(t: TestContext, files: Readonly<Record<string, string>>): Guest {
  const root = scratchDirectory(t);
  for (const [path, target] of Object.entries(files)) {
    mkdirSync(path.endsWith('/') ? join(root, path) : dirname(join(root, path)), { recursive: true });
    if (target !== '') symlinkSync(target, join(root, path));
    else if (!path.endsWith('/')) writeFileSync(join(root, path), '');
  }
  const call = async ({ op, path }: { op: 'stat' | 'readLink'; path: string }) => {
    const at = join(root, path);
    const value = valueOr<unknown>(() => (op === 'stat' ? lstatSync(at) : readlinkSync(at)), undefined);
    if (value === undefined) throw new OperationError(op, 2, 'no');
    return { value };
  };
  return { call } as unknown as Guest;
}

const FILES = {
  '/bin': 'usr/bin',
  '/usr/bin/': '',
  '/etc/conf': '../opt/conf',
  '/opt/conf': '',
  '/etc/out': '/srv/data/victim',
  '/etc/round': '../etc/round',
  '/srv/data/victim': '',
  '/srv/data/link': 'victim',
  '/way': 'srv',
};

/** What becomes of a path, as a file. */
function resolver(t: TestContext, rules: Partial<LinkRules>) {
  const ways = new InsideMount(guestWith(t, FILES), { mounts: [], isOwn: undefined, ...rules });
  return (target: string, kind: 'file' | 'directory' | 'link' = 'file') =>
    ways.pathOf({ kind, source: '/source', target });
}
const THROUGH = 'include-through-link';

it('links of the root are followed as long as they stay there', async (t) => {
  const pathOf = resolver(t, { mounts: [{ target: '/way/data' }, { target: '/dev' }] });
  assert.equal(await pathOf('/bin/new'), '/usr/bin/new');
  assert.equal(await pathOf('/bin/new/../x'), '/usr/bin/x');
  assert.equal(await pathOf('/etc//conf'), '/opt/conf');
  assert.equal(await pathOf('/etc/conf', 'link'), '/etc/conf');
  assert.equal(await pathOf('/none/at/all'), '/none/at/all');
  await rejectsWith(pathOf('/etc/out'), THROUGH, /inside \/etc\/out is a symbolic link/);
  await rejectsWith(pathOf('/etc/round'), THROUGH);
  await rejectsWith(pathOf('/usr/bin'), 'include-failed', /something other than a file/);
  // The mount is there by another name.
  await rejectsWith(pathOf('/srv/data/new'), THROUGH);
});

it('in a mount none is followed, and in a second path those of what it shows', async (t) => {
  const mounts = [{ target: '/srv/data' }, { target: '/a', source: '/srv/data' }, { target: '/etc', source: '/etc' }];
  const pathOf = resolver(t, { mounts });
  assert.equal(await pathOf('/srv/data/victim'), '/srv/data/victim');
  await rejectsWith(pathOf('/srv/data/link'), THROUGH);
  assert.equal(await pathOf('/etc/conf'), '/opt/conf');
  await rejectsWith(pathOf('/etc/out'), THROUGH);
});

it('where others may have left links, those of the root itself are known', async (t) => {
  const asked: string[] = [];
  const isOwn = (path: string, leadsTo: string) => {
    asked.push(`${path} ${leadsTo}`);
    return path === '/bin';
  };
  const pathOf = resolver(t, { mounts: [{ target: '/x', at: '/x', source: '/etc' }], isOwn });
  assert.equal(await pathOf('/bin/new'), '/usr/bin/new');
  await rejectsWith(pathOf('/etc/conf'), THROUGH);
  assert.deepEqual(asked, ['/bin usr/bin', '/etc/conf ../opt/conf']);
});

/** What a container hides, by what its init finds there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { callerIdentity } from '../../../../src/config/identity.js';
import { type Guest, OperationError } from '../../../../src/protocol/operations.js';
import { hiddenNow } from '../../../../src/sandbox/setup/hidden-now.js';

const DIRECTORY = 0o040_755;
const FILE = 0o100_644;
const LINK = 0o120_777;
const root = mkdtempSync(join(tmpdir(), 'virt-sandbox-hidden-'));
const HOME = { device: '8:1', path: '/home/ada' };
const TABLE = `1 2 8:1 / /newroot rw - ext4 /dev/a rw
3 1 8:1 /home/ada /newroot/srv/seen rw - ext4 /dev/a rw
4 1 8:1 /home /newroot/covered rw - ext4 /dev/a rw
`;

after(() => rmSync(root, { recursive: true }));

/** A guest with these modes by path, and with this table of mounts or none. */
function guestWith(modes: Readonly<Record<string, number>>, table: string | null = TABLE): Guest {
  const call = async ({ op, path }: { op: string; path: string }) => {
    const ofStat = path.includes('shut') ? constants.errno.EACCES : constants.errno.ENOENT;
    const errno = op === 'readFile' ? constants.errno.EFBIG : ofStat;
    const mode = modes[path];
    const value = op === 'readFile' ? table !== null && Buffer.from(table) : mode !== undefined && { mode };
    if (value === false) throw new OperationError(op === 'readFile' ? 'readFile' : 'stat', errno, 'no');
    return { value };
  };
  return { call } as unknown as Guest;
}

/** What is hidden: `/file` as a file, `/directory/` as a directory. */
async function hide(guest: Guest, paths: readonly string[], homes = [HOME], choices: string[] = []) {
  const config = { ...defaultConfig(await callerIdentity()), root: { type: 'directory', path: root } };
  const sought = { config, options: { onChoice: (choice: string) => choices.push(choice) } };
  const found = await hiddenNow(guest, sought as unknown as Parameters<typeof hiddenNow>[1], { paths, homes });
  return found.map(({ path, isDirectory }) => `${path}${isDirectory ? '/' : ''}`).sort();
}

const THERE = { '/newroot/home/ada': DIRECTORY, '/newroot/srv/seen': DIRECTORY };

test('a home is hidden wherever a mount shows it, and what is not there is not', async () => {
  const guest = guestWith(THERE);
  assert.deepEqual(await hide(guest, ['/home/ada', '/gone/sub']), ['/home/ada/', '/srv/seen/']);
  assert.deepEqual(await hide(guest, []), ['/home/ada/', '/srv/seen/']);
  assert.deepEqual(await hide(guest, ['/gone/sub'], []), []);
});

test('what is not there keeps nothing below it from being hidden', async () => {
  const guest = guestWith({ ...THERE, '/newroot/srv/seen/.ssh': DIRECTORY });
  assert.deepEqual(await hide(guest, ['/srv', '/srv/seen/.ssh']), ['/home/ada/', '/srv/seen/']);
});

test('the container says whether it is a file, and the host where the container has a link', async () => {
  for (const path of ['file', 'behind/file']) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
  const guest = guestWith({
    ...{ '/newroot/a': FILE, '/newroot/file': LINK, '/newroot/other': LINK, '/newroot/behind': LINK },
    '/newroot/above': DIRECTORY,
  });
  const paths = ['/a', '/file', '/other', '/behind/file', '/behind/none', '/above/none'];
  assert.deepEqual(await hide(guest, paths, []), ['/a', '/behind/file', '/file']);
});

test('what the init may not look at is what the host says', async () => {
  mkdirSync(join(root, 'shut/there'), { recursive: true });
  assert.deepEqual(await hide(guestWith({}), ['/shut/there', '/shut/none'], []), ['/shut/there/']);
});

test('where the table is too large what was listed is hidden, and that is said', async () => {
  const choices: string[] = [];
  assert.deepEqual(await hide(guestWith(THERE, null), ['/home/ada'], [HOME], choices), ['/home/ada/']);
  assert.equal(choices.length, 1);
});

/** What a container hides, by what its init finds there. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { defaultConfig } from '../../../../src/config/defaults.js';
import { callerIdentity } from '../../../../src/config/identity.js';
import { type Guest, OperationError } from '../../../../src/protocol/operations.js';
import { hiddenNow } from '../../../../src/sandbox/setup/hidden-now.js';

const DIRECTORY = 0o040_755;
const FILE = 0o100_644;
const HOME = { device: '8:1', path: '/home/ada' };
const TABLE = `1 2 8:1 / /newroot rw - ext4 /dev/a rw
3 1 8:1 /home/ada /newroot/srv/seen rw - ext4 /dev/a rw
4 1 8:1 /home /newroot/covered rw - ext4 /dev/a rw
`;

/** A guest with these modes by path, and with this table of mounts or none. */
function guestWith(modes: Readonly<Record<string, number>>, table: string | null = TABLE): Guest {
  const call = async ({ op, path }: { op: string; path: string }) => {
    const errno = op === 'readFile' ? constants.errno.EFBIG : constants.errno.ENOENT;
    const mode = modes[path];
    const value = op === 'readFile' ? table !== null && Buffer.from(table) : mode !== undefined && { mode };
    if (value === false) throw new OperationError(op === 'readFile' ? 'readFile' : 'stat', errno, 'no');
    return { value };
  };
  return { call } as unknown as Guest;
}

async function hide(guest: Guest, listed: [path: string, isDirectory: boolean][], choices: string[] = []) {
  const config = defaultConfig(await callerIdentity());
  const sought = { config, homes: [HOME], options: { onChoice: (choice: string) => choices.push(choice) } };
  const all = listed.map(([path, isDirectory]) => ({ path, isDirectory }));
  return (await hiddenNow(guest, sought, all)).map(({ path }) => path).sort();
}

const THERE = { '/newroot/home/ada': DIRECTORY, '/newroot/srv/seen': DIRECTORY };

test('a home is hidden wherever a mount shows it, and what is not there is not', async () => {
  const guest = guestWith(THERE);
  assert.deepEqual(
    await hide(guest, [
      ['/home/ada', true],
      ['/gone/sub', true],
    ]),
    ['/home/ada', '/srv/seen'],
  );
});

test('what is not there hides nothing that is below it', async () => {
  const guest = guestWith({ ...THERE, '/newroot/srv/seen/.ssh': DIRECTORY });
  assert.deepEqual(
    await hide(guest, [
      ['/srv', true],
      ['/srv/seen/.ssh', true],
    ]),
    ['/home/ada', '/srv/seen'],
  );
});

test('a file is covered as a file, and another kind of thing in its place is not', async () => {
  const guest = guestWith({ '/newroot/a': FILE, '/newroot/b': FILE }, '');
  assert.deepEqual(
    await hide(guest, [
      ['/a', false],
      ['/b', true],
    ]),
    ['/a'],
  );
});

test('where the table is too large what was listed is hidden, and that is said', async () => {
  const choices: string[] = [];
  assert.deepEqual(await hide(guestWith(THERE, null), [['/home/ada', true]], choices), ['/home/ada']);
  assert.equal(choices.length, 1);
});

/** The user and the groups of a sandbox, from the host's user database. */

import assert from 'node:assert/strict';
import { appendFile, chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { callerIdentity, groupsOf, HOST_USERS, rootIdentity, userIdentity } from '../../../src/config/identity.js';
import { refuses, temporaryDirectory, testUsers } from './support.js';

test('a user has the ids, home and groups of the host', async (t) => {
  const users = await testUsers(t);
  assert.deepEqual(await userIdentity('ada', users), {
    uid: 2001,
    gid: 2001,
    username: 'ada',
    home: '/home/ada',
    groups: [29, 44],
  });
  assert.deepEqual(await userIdentity('nogroups', users), {
    uid: 2003,
    gid: 2003,
    username: 'nogroups',
    home: '/home/nogroups',
    groups: [],
  });
});

test('a number is the user with that uid, unless a user has that name', async (t) => {
  const users = await testUsers(t);
  assert.deepEqual(await userIdentity('2001', users), await userIdentity('ada', users));
  assert.equal((await userIdentity('0', users)).username, 'root');
  await appendFile(users.passwdFile, '2001:x:2004:2004::/home/2001:/bin/sh\n');
  assert.equal((await userIdentity('2001', users)).uid, 2004);
});

test('a number without a user is refused, and the error says what is missing', async (t) => {
  const users = await testUsers(t);
  for (const name of ['1999', '4294967295']) {
    await refuses(() => userIdentity(name, users), 'config', 'user-unknown', JSON.stringify(name));
  }
  await assert.rejects(userIdentity('1999', users), { remedy: /getent passwd.*a bare number/ });
});

test('a home that is not an absolute path becomes /', async (t) => {
  assert.equal((await userIdentity('homeless', await testUsers(t))).home, '/');
});

test('the error for an unknown user names it', async (t) => {
  const users = await testUsers(t);
  for (const name of ['', 'eve', 'Ada', '-1', '2001x', 'broken', '# not a user', 'ada:x', '-h', 'a\0b', 'a\nb']) {
    await refuses(() => userIdentity(name, users), 'config', 'user-unknown', JSON.stringify(name));
  }
});

test('an unknown user stays unknown to the name service', async () => {
  for (const name of ['no-such-user-here', '4294967294', '--help', '']) {
    await refuses(() => userIdentity(name, HOST_USERS), 'config', 'user-unknown', JSON.stringify(name));
  }
});

test('the caller has the ids of the process and its $HOME', async (t) => {
  const users = await testUsers(t);
  const caller = { uid: 2001, gid: 2001, groups: [44, 2001, 29, 44], home: '/elsewhere' };
  assert.deepEqual(await callerIdentity(users, caller), {
    uid: 2001,
    gid: 2001,
    username: 'ada',
    home: '/elsewhere',
    groups: [29, 44],
  });
  assert.equal((await callerIdentity(users, { ...caller, home: undefined })).home, '/home/ada');
  assert.equal((await callerIdentity(users, { ...caller, home: 'relative' })).home, '/home/ada');
});

test('a caller without a passwd entry is named by its uid', async (t) => {
  const caller = { uid: 777_777, gid: 5, groups: [], home: undefined };
  assert.deepEqual(await callerIdentity(await testUsers(t), caller), {
    uid: 777_777,
    gid: 5,
    username: '777777',
    home: '/',
    groups: [],
  });
});

test('the real caller is the user who runs the test', async () => {
  const identity = await callerIdentity();
  assert.equal(identity.uid, process.getuid?.());
  assert.equal(identity.gid, process.getgid?.());
});

test('root needs no passwd entry', async (t) => {
  const expected = { uid: 0, gid: 0, username: 'root', home: '/root', groups: [] };
  const users = await testUsers(t);
  assert.deepEqual(await rootIdentity(users), expected);
  assert.deepEqual(await rootIdentity(users, '/root'), expected);
  assert.deepEqual(await rootIdentity(users, '/home/ada'), { ...expected, savedHome: '/home/ada' });
  const absent = join(await temporaryDirectory(t), 'absent');
  assert.deepEqual(await rootIdentity({ passwdFile: absent, groupFile: absent, nameService: false }), expected);
});

test('groups are those of the user, not of another user with its name', async (t) => {
  const users = await testUsers(t);
  const ada = { uid: 2001, gid: 2001, username: 'ada', home: '/' };
  assert.deepEqual(await groupsOf(ada, users), [29, 44]);
  assert.deepEqual(await groupsOf({ ...ada, gid: 44 }, users), [29, 2001]);
  assert.deepEqual(await groupsOf({ ...ada, uid: 2002 }, users), []);
  assert.deepEqual(await groupsOf({ ...ada, username: 'eve' }, users), []);
});

test('an unreadable user database is an error, not an unknown user', async (t) => {
  const directory = await temporaryDirectory(t);
  const users = { passwdFile: directory, groupFile: directory, nameService: false };
  await refuses(() => userIdentity('ada', users), 'config', 'users-unreadable', directory);
});

test('a user that only the name service knows is found through getent', async (t) => {
  const directory = await temporaryDirectory(t);
  const bin = join(directory, 'bin');
  await mkdir(bin);
  // Stands in for the name service itself (LDAP, …), which a test cannot set up; what calls it is the real code.
  await writeFile(
    join(bin, 'getent'),
    `#!/bin/sh
[ "$2" = -- ] || exit 9
case "$1 $3" in
  "passwd remote") echo "remote:*:3001:3000:Remote:/home/remote:/bin/sh" ;;
  "passwd 3001") echo "remote:*:3001:3000:Remote:/home/remote:/bin/sh" ;;
  "initgroups remote") echo "remote                3000 3002 3001" ;;
  *) exit 2 ;;
esac
`,
  );
  await chmod(join(bin, 'getent'), 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${bin}:${path}`;
  t.after(() => {
    process.env['PATH'] = path;
  });
  const users = { ...(await testUsers(t)), nameService: true };
  const remote = { uid: 3001, gid: 3000, username: 'remote', home: '/home/remote', groups: [3001, 3002] };
  assert.deepEqual(await userIdentity('remote', users), remote);
  assert.deepEqual(await groupsOf(remote, users), [3001, 3002]);
  assert.deepEqual(await callerIdentity(users, { uid: 3001, gid: 3000, groups: [3002], home: undefined }), {
    ...remote,
    groups: [3002],
  });
  assert.deepEqual((await userIdentity('ada', users)).groups, [29, 44]);
  assert.deepEqual(await userIdentity('3001', users), remote);
  await refuses(() => userIdentity('3002', users), 'config', 'user-unknown', '"3002"');
});

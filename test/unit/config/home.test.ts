/** The option --home: its value, what it goes with, where its mount is, and how sandbox.cfg has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountsBeforeHome, withHomeMount } from '../../../src/config/home.js';
import { configFromOptions } from '../../../src/config/options.js';
import { parseHome } from '../../../src/config/parsers/home.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../src/config/sandbox-cfg/sandbox-cfg.js';
import { SandboxError } from '../../../src/util/errors.js';
import { refuses, testUsers } from './support.js';

const command = ['/bin/true'];
const identity = { uid: 7, gid: 7, username: 'ada', home: '/home/ada', groups: [] };

test('two words have a meaning, and anything else is a directory of the host', async () => {
  assert.deepEqual(parseHome('tmp', '--home'), { type: 'tmp' });
  assert.deepEqual(parseHome('host', '--home'), { type: 'host' });
  assert.deepEqual(parseHome('/srv/../box', '--home'), { type: 'directory', path: '/srv/../box' });
  assert.deepEqual(parseHome('./tmp', '--home'), { type: 'directory', path: `${process.cwd()}/tmp` });
  await refuses(() => parseHome('', '--home'), 'arguments', 'path-empty', '--home');
});

test('a base keeps its home, and an option replaces it', async (t) => {
  const users = await testUsers(t);
  const plain = await configFromOptions({ command }, users);
  assert.equal(plain.home, undefined);
  const base = await configFromOptions({ command, home: 'tmp' }, users, { ...plain, identity });
  assert.deepEqual((await configFromOptions({ memory: '1G' }, users, base)).home, { type: 'tmp' });
  assert.deepEqual((await configFromOptions({ home: 'host' }, users, base)).home, { type: 'host' });
});

test('a user whose home is the root has none of another kind, and a mount is not there too', async (t) => {
  const users = await testUsers(t);
  const base = { ...(await configFromOptions({ command }, users)), identity };
  const rootless = { ...base, identity: { ...identity, home: '//' } };
  for (const home of ['tmp', '/srv/box']) {
    await refuses(() => configFromOptions({ home }, users, rootless), 'config', 'home-is-root', 'ada');
    const mount = ['ram:/home/./ada/=1M'];
    await refuses(() => configFromOptions({ home, mount }, users, base), 'config', 'home-mounted', '/home/ada');
    await configFromOptions({ home, mount: ['ram:/home=1M', 'ram:/home/ada/x=1M'] }, users, base);
  }
  await configFromOptions({ home: 'host', mount: ['ram:/home/ada=1M'] }, users, base);
  await configFromOptions({ home: 'host' }, users, rootless);
});

test('a home that the system needs is none, and one in memory or below such a place is', async (t) => {
  const users = await testUsers(t);
  const base = await configFromOptions({ command }, users);
  const withHome = (home: string) => ({ ...base, identity: { ...identity, home } });
  for (const home of [
    '/bin',
    '/usr/sbin',
    '/usr/games/',
    '/lib64',
    '/etc',
    '/tmp',
    '/run/.',
    '/dev',
    '/proc/self',
    '/sys',
  ])
    for (const value of ['tmp', '/srv/box'])
      await refuses(() => configFromOptions({ home: value }, users, withHome(home)), 'config', 'home-of-system', 'ada');
  for (const home of ['/usr/local/ada', '/tmp/home', '/run/ada', '/binary', '/home/bin', '/development'])
    await configFromOptions({ home: 'tmp' }, users, withHome(home));
  await configFromOptions({ home: 'host' }, users, withHome('/bin'));
});

test('a directory is mounted behind the mounts that the home is in', async (t) => {
  const users = await testUsers(t);
  const base = { ...(await configFromOptions({ command }, users)), identity };
  const mount = ['ram:/=9M', 'ram:/opt=1M', 'ram:/home=1M', 'ram:/home/ada/x=1M', 'ram:/homely=1M'];
  const order = (mounts: readonly { target: string }[]) => mounts.map(({ target }) => target).join(' ');
  const config = await configFromOptions({ home: '/srv/box', mount }, users, base);
  assert.equal(order(withHomeMount(config).mounts), '/ /opt /home /home/ada /home/ada/x /homely');
  assert.deepEqual(withHomeMount(config).mounts[3], {
    type: 'host-bind',
    target: '/home/ada',
    source: '/srv/box',
    readOnly: false,
    includes: [],
  });
  const alone = await configFromOptions({ home: '/srv/box', mount: ['ram:/opt=1M'] }, users, base);
  assert.equal(order(withHomeMount(alone).mounts), '/home/ada /opt');
  // A root that is named last hides nothing that is named before it.
  for (const [last, before] of [
    [['ram:/home/ada/x=1M', 'ram:/=9M'], 0],
    [['ram:/home=1M', 'ram:/home/ada/x=1M', 'ram:/.=9M'], 1],
    [['ram:/=9M', 'ram:/home=1M', 'ram:/home/ada/x=1M'], 1],
  ] as const) {
    const rooted = await configFromOptions({ home: '/srv/box', mount: last }, users, base);
    const targets = withHomeMount(rooted).mounts.map(({ target }) => target);
    assert.ok(targets.indexOf('/home/ada') < targets.indexOf('/home/ada/x'), targets.join(' '));
    assert.equal(mountsBeforeHome(rooted), before);
  }
  for (const home of ['tmp', 'host'])
    assert.deepEqual(withHomeMount(await configFromOptions({ home }, users, base)).mounts, []);
});

test('an include in the home that nothing covers has a remedy that works', async (t) => {
  const users = await testUsers(t);
  const base = { ...(await configFromOptions({ command }, users)), identity };
  const include = ['/home/ada/.rc=/etc/hostname'];
  const remedyOf = async (home: string, given = include) => {
    try {
      await configFromOptions({ home, include: given }, users, base);
    } catch (error) {
      assert.ok(error instanceof SandboxError && error.code === 'include-not-covered', String(error));
      return error.remedy;
    }
    return assert.fail('it is accepted');
  };
  assert.match(await remedyOf('/srv/box'), /put it into "\/srv\/box"/);
  assert.match(await remedyOf('tmp'), /a mount in the home/);
  assert.match(await remedyOf('tmp', ['/opt/x=/etc/hostname']), /^add a mount/);
  await configFromOptions({ home: 'tmp', include, mount: ['ram:/home=1M'] }, users, base);
});

test('sandbox.cfg says what the home is, and nothing where no option did', async (t) => {
  const users = await testUsers(t);
  for (const [home, lines] of [
    ['tmp', 'type=tmp\n'],
    ['host', 'type=host\n'],
    ['/srv/a b', 'type=directory\npath=/srv/a b\n'],
  ] as const) {
    const plain = { ...(await configFromOptions({ command }, users)), identity };
    const config = await configFromOptions({ home }, users, plain);
    const text = await formatSandboxCfg(config, { users });
    assert.ok(text.includes(`\n[home]\n${lines}`), text);
    assert.deepEqual((await parseSandboxCfg(text, { users })).home, config.home);
    const other = text.replace(/type=(tmp|host|directory)/, 'type=attic');
    await refuses(() => parseSandboxCfg(other, { users }), 'config', 'config-value-invalid', 'attic');
  }
  const text = await formatSandboxCfg(await configFromOptions({ command }, users), { users });
  assert.doesNotMatch(text, /\[home\]/);
  const pathless = text.replace('[command]', '[home]\ntype=directory\n\n[command]');
  await refuses(() => parseSandboxCfg(pathless, { users }), 'config', 'config-key-missing', 'path');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigOptions, configFromOptions } from '../../src/config/options.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../src/config/sandbox-cfg.js';
import { hashOrder, pathBelow, pathFromBelow } from '../../src/config/sandbox-cfg-includes.js';
import { refuses, testUsers } from './config-support.js';

/** As GLib 2.84 listed them; the longest grew its table twice. */
const LISTED: readonly (readonly [readonly string[], readonly string[]])[] = [
  [[], []],
  [['/x'], ['/x']],
  [
    ['/foo', '/bar', '/baz', '/etc/motd'],
    ['/bar', '/etc/motd', '/foo', '/baz'],
  ],
  [
    ['/a', '/b', '/c', '/d', '/e', '/f', '/g'],
    ['/f', '/a', '/c', '/e', '/g', '/b', '/d'],
  ],
  [
    '/etc/hosts /etc/resolv.conf /ä /bin/a /bin/b /bin/c /lib/x /lib/y /lib/z /usr /var/log'.split(' '),
    '/lib/x /ä /var/log /usr /bin/c /etc/hosts /bin/b /lib/y /etc/resolv.conf /bin/a /lib/z'.split(' '),
  ],
];

test('strings come in the order of a GHashTable', () => {
  for (const [put, listed] of LISTED) assert.deepEqual(hashOrder(put), listed);
});

const BELOW: readonly (readonly [string, string, string])[] = [
  ['/tmp', '/tmp/foo', '/foo'],
  ['/tmp', '/tmp/a/b', '/a/b'],
  ['/tmp', '/tmp', ''],
  ['/', '/etc/motd', 'etc/motd'],
  ['/tmp/', '/tmp/foo', 'foo'],
  ['/tmp', '/tmp//foo/', '//foo/'],
];

test('an include is a path below its mount, as the command line spells it', () => {
  for (const [mount, target, below] of BELOW) {
    assert.equal(pathBelow(mount, target), below);
    assert.equal(pathFromBelow(mount, below), target);
  }
  assert.equal(pathFromBelow('/tmp', 'foo'), '/tmp/foo');
  // The same place, spelled in another way.
  assert.equal(pathBelow('/tmp/.', '/tmp/foo'), '/foo');
  assert.equal(pathBelow('//', '/foo'), 'foo');
});

const line = (options: ConfigOptions): ConfigOptions => ({ command: ['x'], switchto: 'nogroups', ...options });

test('includes stand below their mount, in the order of libvirt-sandbox', async (t) => {
  const users = await testUsers(t);
  const config = await configFromOptions(
    line({
      mount: ['host-bind:/a=/srv', 'ram:/a/b=1M'],
      include: ['/a/foo=/srv/1', '/a/bar', '/a/b/x=/srv/3', '/a/baz=/srv/4', '/a/etc/motd=/etc/motd'],
    }),
    users,
  );
  const text = await formatSandboxCfg(config, { users });
  const groups = text.split('\n\n').filter((group) => group.startsWith('[mount.'));
  assert.deepEqual(groups, [
    '[mount.0]\ntype=GVirSandboxConfigMountHostBind\ntarget=/a\nsource=/srv',
    '[mount.0.include.0]\ndst=/bar\nsrc=/a/bar',
    '[mount.0.include.1]\ndst=/etc/motd\nsrc=/etc/motd',
    '[mount.0.include.2]\ndst=/foo\nsrc=/srv/1',
    '[mount.0.include.3]\ndst=/baz\nsrc=/srv/4',
    '[mount.1]\ntype=GVirSandboxConfigMountRam\ntarget=/a/b\nusage=1048576',
    '[mount.1.include.0]\ndst=/x\nsrc=/srv/3',
  ]);
  const back = await parseSandboxCfg(text, { users });
  assert.deepEqual(
    back.mounts[0]?.includes.map(({ target }) => target),
    ['/a/bar', '/a/etc/motd', '/a/foo', '/a/baz'],
  );
  assert.equal(await formatSandboxCfg(back, { users }), text);
});

test('includes of which one goes over another keep their order', async (t) => {
  const users = await testUsers(t);
  const include = ['/a/foo=/srv/1', '/a/foo/bar=/srv/2', '/a/baz=/srv/3', '/a/foo/bar=/srv/4'];
  const config = await configFromOptions(line({ mount: ['host-bind:/a='], include }), users);
  const back = await parseSandboxCfg(await formatSandboxCfg(config, { users }), { users });
  assert.deepEqual(back, config);
});

test('an include outside its mount is refused', async (t) => {
  const users = await testUsers(t);
  const text = await formatSandboxCfg(
    await configFromOptions(line({ mount: ['host-bind:/a='], include: ['/a/foo=/srv/1'] }), users),
    { users },
  );
  await refuses(
    () => parseSandboxCfg(text.replace('dst=/foo', 'dst=/../foo'), { users }),
    'config',
    'include-not-covered',
    '"/a/../foo"',
  );
});

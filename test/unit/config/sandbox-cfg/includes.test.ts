/** Includes in sandbox.cfg: their order, and the mount that lists each of them. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  attachIncludes,
  coveringMount,
  isCoveredBy,
  pathBelow,
  pathFromBelow,
} from '../../../../src/config/include-mount.js';
import { type ConfigOptions, configFromOptions } from '../../../../src/config/options.js';
import { normalizePath } from '../../../../src/config/path.js';
import { formatSandboxCfg, parseSandboxCfg } from '../../../../src/config/sandbox-cfg/sandbox-cfg.js';
import type { Include, Mount } from '../../../../src/config/types.js';
import { refuses, testUsers } from '../support.js';

const line = (options: ConfigOptions): ConfigOptions => ({ command: ['x'], switchto: 'nogroups', ...options });

/** The groups of the file with the mounts of these `options`. */
async function mountGroups(t: TestContext, options: ConfigOptions): Promise<readonly string[]> {
  const users = await testUsers(t);
  const text = await formatSandboxCfg(await configFromOptions(line(options), users), { users });
  const back = await parseSandboxCfg(text, { users });
  assert.equal(await formatSandboxCfg(back, { users }), text);
  return text.split('\n\n').filter((group) => group.startsWith('[mount.'));
}

test('includes are written as libvirt-sandbox does: with the first mount whose target begins their path, in its order', async (t) => {
  const groups = await mountGroups(t, {
    mount: ['host-bind:/a=/srv', 'ram:/a/b=1M', 'ram:/apple=1M'],
    include: [
      '/a/foo=/srv/1',
      '/a/bar',
      '/a/b/x=/srv/3',
      '/a/baz=/srv/4',
      '/a/etc/motd=/etc/motd',
      '/apple/pie=/srv/5',
    ],
  });
  assert.deepEqual(groups, [
    '[mount.0]\ntype=GVirSandboxConfigMountHostBind\ntarget=/a\nsource=/srv',
    '[mount.0.include.0]\ndst=/bar\nsrc=/a/bar',
    '[mount.0.include.1]\ndst=/etc/motd\nsrc=/etc/motd',
    '[mount.0.include.2]\ndst=/foo\nsrc=/srv/1',
    '[mount.0.include.3]\ndst=/b/x\nsrc=/srv/3',
    '[mount.0.include.4]\ndst=/baz\nsrc=/srv/4',
    '[mount.0.include.5]\ndst=pple/pie\nsrc=/srv/5',
    '[mount.1]\ntype=GVirSandboxConfigMountRam\ntarget=/a/b\nusage=1048576',
    '[mount.2]\ntype=GVirSandboxConfigMountRam\ntarget=/apple\nusage=1048576',
  ]);
});

test('the last of two includes with one path is written', async (t) => {
  const groups = await mountGroups(t, { mount: ['host-bind:/a='], include: ['/a/x=/1', '/a/y=/2', '/a/x=/3'] });
  assert.deepEqual(groups.slice(1), ['[mount.0.include.0]\ndst=/x\nsrc=/3', '[mount.0.include.1]\ndst=/y\nsrc=/2']);
});

test('includes of the command line come after those of the file', async (t) => {
  const users = await testUsers(t);
  const mount = ['host-bind:/a='];
  const base = await configFromOptions(line({ mount, include: ['/a/y=/2', '/a/x=/1'] }), users);
  const more = await configFromOptions({ include: ['/a/b=/3', '/a/a=/4'] }, users, base);
  assert.deepEqual(
    more.mounts[0]?.includes.map(({ target }) => target),
    ['/a/x', '/a/y', '/a/b', '/a/a'],
  );
});

test('an include outside every mount is refused', async (t) => {
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

test('a saved include stays where it is, though only a mount on / has it inside and another target begins it', async (t) => {
  const options = { mount: ['ram:/a=1M', 'ram:/=1M'], include: ['/apple=/srv/1', '/a/b=/srv/2'] };
  assert.deepEqual(
    (await mountGroups(t, options)).filter((group) => group.includes('include')),
    ['[mount.0.include.0]\ndst=/b\nsrc=/srv/2', '[mount.1.include.0]\ndst=apple\nsrc=/srv/1'],
  );
});

test('a saved include stays where it is, however / is spelled', async (t) => {
  for (const [root, path] of [
    ['/.', '/.x'],
    ['/a/..', '/a/..b'],
    ['//', '/x'],
  ]) {
    const users = await testUsers(t);
    const config = await configFromOptions(line({ mount: [`ram:${root}=1M`], include: [`${path}=/srv/1`] }), users);
    const text = await formatSandboxCfg(config, { users });
    const saved = await parseSandboxCfg(text, { users });
    assert.deepEqual(
      saved.mounts.flatMap(({ includes }) => includes.map(({ target }) => normalizePath(target))),
      [path],
    );
    assert.equal(await formatSandboxCfg(saved, { users }), text);
  }
});

/** Every path of up to `count` pieces, each of which is one that spells paths in more than one way. */
function spellings(count: number): readonly string[] {
  const longer = (paths: readonly string[]) =>
    paths.flatMap((path) => ['/', '.', '..', 'a', 'a.'].map((x) => path + x));
  const rounds = Array.from({ length: count }).reduce<string[][]>((all) => [...all, longer(all.at(-1) ?? [])], [['/']]);
  return [...new Set(rounds.flat())];
}

/** Whether the only include comes back as the same path and the same `dst`. */
function comesBack(mounts: readonly Mount[], { target }: Include): boolean {
  const isCovered = isCoveredBy(mounts.map((mount) => mount.target));
  const on = mounts.find(({ includes }) => includes.length > 0)?.target ?? assert.fail('no mount has the include');
  const dst = pathBelow(on, target);
  const read = pathFromBelow(on, dst, isCovered);
  return normalizePath(read) === normalizePath(target) && pathBelow(on, read) === dst;
}

test('a saved include stays where it is, whatever the spelling of up to two mounts and its path', () => {
  const targets = spellings(2);
  const ram = (target: string): Mount => ({ type: 'ram', target, usage: 1, includes: [] });
  const moved: string[] = [];
  let count = 0;
  for (const mounts of [
    ...targets.map((a) => [ram(a)]),
    ...targets.flatMap((a) => targets.map((b) => [ram(a), ram(b)])),
  ]) {
    for (const target of spellings(3)) {
      if (coveringMount(mounts, target) === undefined) continue;
      const include = { source: '/srv/1', target };
      count += 1;
      if (!comesBack(attachIncludes(mounts, [include]), include))
        moved.push(`${mounts.map((m) => m.target)}: ${target}`);
    }
  }
  assert.deepEqual(moved, []);
  assert.ok(count > 10_000, `${count} were tried`);
});

test('a mount on / does not take the includes of other mounts', async (t) => {
  const users = await testUsers(t);
  const text = await formatSandboxCfg(await configFromOptions(line({ mount: ['ram:/=64M', 'ram:/etc=1M'] }), users), {
    users,
  });
  const { mounts } = await parseSandboxCfg(`${text}\n[mount.1.include.0]\ndst=hosts\nsrc=/srv/1\n`, { users });
  assert.deepEqual(
    mounts.map(({ includes }) => includes.map(({ target }) => target)),
    [[], ['/etc/hosts']],
  );
});

/** The mounts of an include: where it is copied to, and where sandbox.cfg lists it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachIncludes, includesOf, pathBelow, pathFromBelow } from '../../../src/config/include-mount.js';
import { parseInclude } from '../../../src/config/parsers/include.js';
import { parseMount } from '../../../src/config/parsers/mount.js';
import { refuses } from './support.js';

test('an include goes to the longest target above it', async () => {
  const mounts = ['host-bind:/var=', 'host-bind:/var/lib=', 'host-bind:/va=', 'ram:/var/lib=1M'].map(parseMount);
  const includes = ['/var/x', '/var/lib/y', '/var/library', '/var/lib'].map(parseInclude);
  const attached = attachIncludes(mounts, includes);
  const placed = includesOf(attached).map(({ mount, include }) => [attached.indexOf(mount), include.target]);
  // The second mount on /var/lib hides the first.
  assert.deepEqual(placed.sort(), [
    [0, '/var/library'],
    [0, '/var/x'],
    [3, '/var/lib'],
    [3, '/var/lib/y'],
  ]);
  assert.deepEqual(attachIncludes(mounts, []), mounts);
  await refuses(
    () => attachIncludes(mounts, [parseInclude('/etc/motd')]),
    'arguments',
    'include-not-covered',
    '"/etc/motd"',
  );
  await refuses(() => attachIncludes([], [parseInclude('/v')]), 'arguments', 'include-not-covered', '"/v"');
});

test('an include inside another one comes after it, whatever their order', () => {
  const mounts = ['host-bind:/a=', 'ram:/a/b=1M'].map(parseMount);
  for (const given of [
    ['/a/x=/1', '/a/x/y=/2', '/a/b=/3', '/a/b/c/d=/4', '/a/b/c=/5'],
    ['/a/b/c/d=/4', '/a/b/c=/5', '/a/b=/3', '/a/x/y=/2', '/a/x=/1'],
  ]) {
    const targets = includesOf(attachIncludes(mounts, given.map(parseInclude))).map(({ include }) => include.target);
    for (const [above, below] of [
      ['/a/x', '/a/x/y'],
      ['/a/b', '/a/b/c'],
      ['/a/b/c', '/a/b/c/d'],
    ] as const) {
      assert.ok(targets.indexOf(above) < targets.indexOf(below), `${above} before ${below} in ${targets.join(' ')}`);
    }
  }
});

const BELOW: readonly (readonly [string, string, string])[] = [
  ['/tmp', '/tmp/foo', '/foo'],
  ['/tmp', '/tmp/a/b', '/a/b'],
  ['/tmp', '/tmp', ''],
  ['/', '/etc/motd', 'etc/motd'],
  ['/tmp/', '/tmp/foo', 'foo'],
  ['/tmp', '/tmp//foo/', '//foo/'],
];

test("an include's path continues its mount's target as the command line spells it", () => {
  for (const [mount, target, below] of BELOW) {
    assert.equal(pathBelow(mount, target), below);
    assert.equal(
      pathFromBelow(mount, below, () => true),
      target,
    );
  }
  // The slash may be missing.
  assert.equal(
    pathFromBelow('/tmp', 'foo', (path) => path !== '/tmpfoo'),
    '/tmp/foo',
  );
  // The same path, spelled differently.
  assert.equal(pathBelow('/tmp/.', '/tmp/foo'), '/foo');
  assert.equal(pathBelow('//', '/foo'), 'foo');
  assert.equal(pathBelow('/.', '/.foo'), '/.foo');
  assert.equal(pathBelow('/a/..', '/a/..b'), '/a/..b');
});

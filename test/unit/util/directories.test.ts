/** Making directories, and its errors. Calls that may never return run in a separate process. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectories, openToAll } from '../../../src/util/directories.js';
import { makeArchive } from '../../helpers/archives.js';
import { runBake } from '../../helpers/bake.js';
import { REPOSITORY } from '../../helpers/run.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

test('missing directories are created, and the first of them returned', (context) => {
  const directory = scratchDirectory(context);
  assert.equal(makeDirectories(join(directory, 'a/b/c'), 0o700), join(directory, 'a'));
  for (const name of ['a', 'a/b', 'a/b/c']) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o700, name);
  assert.equal(makeDirectories(join(directory, 'a/b/c')), undefined);
  assert.equal(makeDirectories(join(directory, 'a/b/../d/')), join(directory, 'a/d'));
  symlinkSync('a', join(directory, 'link'));
  assert.equal(makeDirectories(join(directory, 'link/e')), join(directory, 'link/e'));
  assert.equal(makeDirectories('/'), undefined);
});

test("a directory of root's that nobody else may enter is opened, and no link is followed", {
  skip: unlessRoot('takes another user'),
}, (context) => {
  const directory = scratchDirectory(context);
  const at = (name: string) => join(directory, name);
  const modeOf = (name: string) => statSync(at(name)).mode & 0o777;
  for (const [name, mode] of [
    ['closed', 0o700],
    ['chosen', 0o2750],
    ["another's", 0o700],
  ] as const) {
    mkdirSync(at(name));
    chmodSync(at(name), mode);
  }
  chownSync(at("another's"), 65534, 65534);
  mkdirSync(at('private'), { mode: 0o700 });
  symlinkSync('private', at('link'));
  for (const name of ['closed', 'chosen', "another's", 'link']) openToAll(at(name));
  assert.deepEqual(['closed', 'chosen', "another's", 'private'].map(modeOf), [0o755, 0o750, 0o700, 0o700]);
});

test("it fails with the system's error", (context) => {
  const directory = scratchDirectory(context);
  writeFileSync(join(directory, 'file'), '');
  symlinkSync('nowhere', join(directory, 'dangling'));
  mkdirSync(join(directory, 'there'));
  assert.throws(() => makeDirectories(join(directory, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeDirectories(join(directory, 'file/below')), { code: 'ENOTDIR' });
  assert.throws(() => makeDirectories(join(directory, 'dangling/below')), { code: 'EEXIST' });
  assert.throws(() => makeDirectories(join(directory, 'there', 'x'.repeat(300))), { code: 'ENAMETOOLONG' });
});

test('it fails when nothing can be created in an existing directory', async (context) => {
  const cache = scratchDirectory(context);
  const initrd = join(cache, 'initrd');
  writeFileSync(initrd, makeArchive([{ name: 'file', data: 'x' }]));
  for (const target of ['/proc/x', '/proc/x/y']) {
    const { code, stderr } = await runBake(cache, ['unpack', initrd, target], { timeout: 20_000 });
    assert.equal(code, 125);
    assert.match(
      stderr,
      /^virt-sandbox-bake: image: the initrd cannot be unpacked into \/proc\/x\S* \(ENOENT\); name a /,
    );
  }
});

test("no source uses Node's recursive mkdir, which may never return", () => {
  const sources = readdirSync(join(REPOSITORY, 'src'), { recursive: true, encoding: 'utf8' });
  const users = sources
    .filter((name) => name.endsWith('.ts') && !name.startsWith('bench/'))
    .filter((name) => /mkdir(Sync)?\([^;]*recursive: true/.test(readFileSync(join(REPOSITORY, 'src', name), 'utf8')));
  assert.deepEqual(users, []);
});

/** `mkdir`, `rename` and `remove`: what they do, and where they stop. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';
import { NOBODY, Programs } from './programs.js';

const { errno } = constants;

describe('mkdir, rename and remove', () => {
  test('mkdir makes a directory, or missing ones above it too', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['mkdir', 'a', String(0o1777), '0']);
    assert.equal(statSync(programs.path('a')).mode & 0o7777, 0o1777);
    await programs.run(['mkdir', 'set-ids/', String(0o6710), '0']);
    assert.equal(statSync(programs.path('set-ids')).mode & 0o7777, 0o6710);
    // A group that all below it has.
    await programs.run(['mkdir', 'set-ids/below', String(0o750), '0']);
    await programs.run(['mkdir', 'set-ids/sticky', String(0o5750), '0']);
    const below = ['below', 'sticky'].map((name) => statSync(programs.path(`set-ids/${name}`)).mode & 0o7777);
    assert.deepEqual(below, [0o2750, 0o5750 | 0o2000]);
    await programs.fails(errno.EEXIST, ['mkdir', 'a', '493', '0']);
    await programs.fails(errno.ENOENT, ['mkdir', 'b/c', '493', '0']);
    await programs.run(['mkdir', `${programs.directory}//b/c/`, String(0o700), '1']);
    assert.equal(statSync(programs.path('b')).mode & 0o7777, 0o755);
    assert.equal(statSync(programs.path('b/c')).mode & 0o7777, 0o700);
    await programs.run(['mkdir', 'b/c', '493', '1']);
    writeFileSync(programs.path('file'), '');
    await programs.fails(errno.EEXIST, ['mkdir', 'file', '493', '1']);
    await programs.fails(errno.ENOTDIR, ['mkdir', 'file/x/y', '493', '1']);
    await programs.fails(errno.ENOENT, ['mkdir', '', '493', '1']);
    await programs.guest.finish();
  });

  test('rename moves a file onto another', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('from'), 'moved');
    writeFileSync(programs.path('to'), '');
    await programs.run(['rename', 'from', 'to']);
    assert.deepEqual(readdirSync(programs.directory), ['to']);
    assert.equal(readFileSync(programs.path('to'), 'utf8'), 'moved');
    assert.equal(await programs.fails(errno.ENOENT, ['rename', 'from', 'to']), 'rename(from, to)');
    mkdirSync(programs.path('directory'));
    await programs.fails(errno.EISDIR, ['rename', 'to', 'directory']);
    await programs.guest.finish();
  });

  test('remove takes one thing, or all that is below it', async (t) => {
    const programs = await Programs.start(t);
    const outside = scratchDirectory(t);
    writeFileSync(join(outside, 'kept'), '');
    writeFileSync(programs.path('file'), '');
    mkdirSync(programs.path('empty'));
    symlinkSync(outside, programs.path('link'));
    for (const name of ['file', 'empty', 'link']) await programs.run(['remove', name, '0', '0']);
    mkdirSync(programs.path('full'));
    for (let at = 0; at < 500; at += 1) writeFileSync(programs.path(`full/${at}`), '');
    mkdirSync(programs.path('full/a/b/c'), { recursive: true });
    mkdirSync(programs.path('full/d/e'), { recursive: true });
    symlinkSync(outside, programs.path('full/a/b/link'));
    symlinkSync('/nowhere', programs.path('full/a/dangling'));
    assert.equal(await programs.fails(errno.ENOTEMPTY, ['remove', 'full', '0', '0']), 'rmdir(full)');
    await programs.run(['remove', 'full', '1', '0']);
    symlinkSync(outside, programs.path('link'));
    await programs.run(['remove', 'link', '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    assert.deepEqual(readdirSync(outside), ['kept']);
    await programs.fails(errno.ENOENT, ['remove', 'file', '1', '0']);
    await programs.run(['remove', 'file', '1', '1']);
    await programs.fails(errno.ENOTDIR, ['remove', '/dev/null/x', '1', '1']);
    // A link with a slash behind it is no link, and its directory is not to be removed by that name.
    symlinkSync(outside, programs.path('link'));
    await programs.fails(errno.ENOTDIR, ['remove', 'link/', '1', '0']);
    assert.deepEqual(readdirSync(outside), ['kept']);
    await programs.guest.finish();
  });

  test('remove refuses . and .., which never become empty', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('a/b'), { recursive: true });
    writeFileSync(programs.path('a/file'), '');
    for (const path of ['..', '.', 'a/..', 'a/.', 'a/b/../', `${programs.directory}/a/b/..`])
      await programs.fails(errno.EINVAL, ['remove', path, '1', '1']);
    assert.deepEqual(readdirSync(programs.path('a')).sort(), ['b', 'file']);
    await programs.run(['remove', 'a/b/../file', '1', '0']);
    await programs.run(['remove', `${programs.directory}//a//`, '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    await programs.fails(errno.EBUSY, ['remove', '/proc', '0', '0']);
    await programs.guest.finish();
  });

  test('remove goes down any depth with two descriptors', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('deep'), '');
    // From the inside out, since its path is longer than a path may be.
    for (let at = 0; at < 2000; at += 1) {
      mkdirSync(programs.path('outer'));
      renameSync(programs.path('deep'), programs.path('outer/d'));
      renameSync(programs.path('outer'), programs.path('deep'));
    }
    await programs.run(['remove', 'deep', '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    await programs.guest.finish();
  });

  test('remove stops where its user may not', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('tree/closed'), { recursive: true });
    chmodSync(programs.directory, 0o777);
    chmodSync(programs.path('tree'), 0o777);
    writeFileSync(programs.path('tree/closed/file'), '');
    chmodSync(programs.path('tree/closed'), 0o755);
    const what = await programs.fails(errno.EACCES, ['remove', 'tree', '1', '0'], NOBODY);
    assert.equal(what, 'unlink(file), in remove(tree)');
    chmodSync(programs.path('tree/closed'), 0o700);
    assert.equal(
      await programs.fails(errno.EACCES, ['remove', 'tree', '1', '0'], NOBODY),
      'open(closed), in remove(tree)',
    );
    assert.ok(existsSync(programs.path('tree/closed/file')));
    await programs.guest.finish();
  });
});

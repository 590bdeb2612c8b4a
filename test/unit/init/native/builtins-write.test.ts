/** `write`: a file is replaced when all is there, by a user who may do that. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { unlessRoot } from '../../../helpers/scratch.js';
import type { SpawnOptions } from './driver.js';
import { LONG_NAME, NOBODY, Programs } from './programs.js';

const { errno, signals } = constants;

describe('write', () => {
  test('makes a file of that mode, or replaces one and keeps its mode', async (t) => {
    const programs = await Programs.start(t);
    const mode = (name: string) => statSync(programs.path(name)).mode & 0o7777;
    await programs.run(['write', 'file', String(0o666), '0'], { input: 'one' });
    assert.deepEqual([readFileSync(programs.path('file'), 'utf8'), mode('file')], ['one', 0o666]);
    chmodSync(programs.path('file'), 0o4751);
    symlinkSync('file', programs.path('link'));
    const { ino } = statSync(programs.path('file'));
    await programs.run(['write', programs.path('link'), String(0o600), '0'], { input: 'two' });
    assert.deepEqual([readFileSync(programs.path('file'), 'utf8'), mode('file')], ['two', 0o4751]);
    assert.notEqual(statSync(programs.path('file')).ino, ino);
    assert.equal(readlinkSync(programs.path('link')), 'file');
    await programs.run(['write', 'empty', '0', '0']);
    assert.deepEqual([readFileSync(programs.path('empty'), 'utf8'), mode('empty')], ['', 0]);
    assert.deepEqual(readdirSync(programs.directory).sort(), ['empty', 'file', 'link']);
    await programs.guest.finish();
  });

  test('appends', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['write', 'log', String(0o640), '1'], { input: 'one\n' });
    await programs.run(['write', 'log', String(0o600), '1'], { input: 'two\n' });
    assert.equal(readFileSync(programs.path('log'), 'utf8'), 'one\ntwo\n');
    assert.equal(statSync(programs.path('log')).mode & 0o7777, 0o640);
    await programs.guest.finish();
  });

  test('writes to what is no file as it comes', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['write', '/dev/null', '420', '0'], { input: 'x' });
    assert.ok(statSync('/dev/null').isCharacterDevice());
    assert.equal(await programs.fails(errno.ENOSPC, ['write', '/dev/full', '420', '0']), 'write(/dev/full)');
    execFileSync('mkfifo', [programs.path('fifo')]);
    const reader = await programs.guest.spawnBeside(['cat', 'fifo'], { directory: programs.directory });
    await programs.run(['write', 'fifo', '420', '0'], { input: 'through' });
    await programs.guest.exit(reader);
    assert.equal(programs.guest.output(Proc.STDOUT, reader).toString(), 'through');
    await programs.guest.finish();
  });

  test('that is ended before its input leaves the file as it was, and nothing beside it', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'old');
    for (const name of ['file', 'new']) {
      const number = await programs.beginWriting(name);
      await programs.guest.signal(signals.SIGTERM, number);
      assert.equal(await programs.guest.exit(number), (128 + signals.SIGTERM) << 8);
    }
    assert.equal(readFileSync(programs.path('file'), 'utf8'), 'old');
    assert.deepEqual(readdirSync(programs.directory), ['file']);
    await programs.guest.finish();
  });

  test('that is killed leaves at most a temporary file', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'old');
    const number = await programs.beginWriting('file');
    await programs.guest.signal(signals.SIGKILL, number);
    assert.equal(await programs.guest.exit(number), signals.SIGKILL);
    assert.equal(readFileSync(programs.path('file'), 'utf8'), 'old');
    const [temporary = '', ...others] = readdirSync(programs.directory).sort();
    assert.deepEqual(others, ['file']);
    assert.match(temporary, /^\.virt-sandbox-[0-9a-f]{16}$/);
    await programs.guest.finish();
  });

  test('fails', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('directory'));
    symlinkSync('none', programs.path('dangling'));
    await programs.fails(errno.EISDIR, ['write', 'directory', '420', '0']);
    await programs.fails(errno.EISDIR, ['write', 'directory', '420', '1']);
    await programs.fails(errno.ENOENT, ['write', 'none/file', '420', '0']);
    await programs.fails(errno.ENOENT, ['write', 'none/file', '420', '1']);
    assert.equal(await programs.fails(errno.ENOENT, ['write', 'dangling', '420', '0']), 'open(dangling)');
    await programs.fails(errno.ENAMETOOLONG, ['write', `${LONG_NAME}n`, '420', '0']);
    await programs.fails(errno.ENAMETOOLONG, ['write', '/x'.repeat(60_000), '420', '0']);
    for (const mode of [String(0o10000), '1a', '1/', '4294967716'])
      await programs.fails(errno.EINVAL, ['write', 'file', mode, '0']);
    await programs.fails(errno.EINVAL, ['write', 'file', '420']);
    assert.deepEqual(readdirSync(programs.directory).sort(), ['dangling', 'directory']);
    await programs.guest.finish();
  });

  test('does not replace what its user may not write to', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o777);
    writeFileSync(programs.path('private'), 'old');
    chmodSync(programs.path('private'), 0o644);
    await programs.fails(errno.EACCES, ['write', 'private', '420', '0'], NOBODY);
    writeFileSync(programs.path('public'), 'old');
    chmodSync(programs.path('public'), 0o6777);
    await programs.run(['write', 'public', '420', '0'], { ...NOBODY, input: 'new' });
    const { mode, uid } = statSync(programs.path('public'));
    // The owner is another one, for whom a program must not act as the old one.
    assert.deepEqual([mode & 0o7777, uid], [0o707, 65_534]);
    assert.equal(readFileSync(programs.path('private'), 'utf8'), 'old');
    chmodSync(programs.path('public'), 0o4751);
    await programs.run(['write', 'public', '420', '0'], { ...NOBODY, input: 'newer' });
    assert.equal(statSync(programs.path('public')).mode & 0o7777, 0o4751);
    await programs.guest.finish();
  });
});

/** Of two users that are not root. */
const ALICE = 65_530;
const PROJECT = 65_531;

describe('write to what another user has', { skip: unlessRoot('users') }, () => {
  test('keeps the group where the user is in it, else takes from the group what it might do', async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o777);
    const replaced = async (mode: number, options: SpawnOptions) => {
      writeFileSync(programs.path('file'), 'old');
      chownSync(programs.path('file'), ALICE, PROJECT);
      chmodSync(programs.path('file'), mode);
      await programs.run(['write', 'file', '420', '0'], { ...NOBODY, ...options, input: 'new' });
      const status = statSync(programs.path('file'));
      return [status.uid, status.gid, status.mode & 0o7777];
    };
    assert.deepEqual(await replaced(0o2660, { groups: [PROJECT] }), [NOBODY.uid, PROJECT, 0o660]);
    assert.deepEqual(await replaced(0o666, {}), [NOBODY.uid, NOBODY.gid, 0o606]);
    await programs.guest.finish();
  });
});

/** Unpacking an archive: what it creates, and that a hostile archive writes nothing outside. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readArchives } from '../../../../src/image/archive/read.js';
import { unpackArchives } from '../../../../src/image/archive/unpack.js';
import { type MadeEntry, makeArchive } from '../../../helpers/archives.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { programOf } from '../../../helpers/programs.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const LINK = 0o120777;
const DIRECTORY = 0o040755;

/** A directory to unpack into, and beside it one that must stay unchanged. */
function arena(context: TestContext): { box: string; outside: string } {
  const scratch = scratchDirectory(context);
  const outside = join(scratch, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'victim'), 'untouched');
  return { box: join(scratch, 'box'), outside };
}

async function unpack(directory: string, ...archives: readonly (readonly MadeEntry[])[]) {
  return unpackArchives(await readArchives(Buffer.concat(archives.map((entries) => makeArchive(entries)))), directory);
}

function assertUntouched(outside: string): void {
  assert.deepEqual(readdirSync(outside), ['victim']);
  assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'untouched');
}

describe('unpacking', () => {
  it('creates files, directories, links, modes and times', async (context) => {
    const { box } = arena(context);
    await unpack(box, [
      { name: '.', mode: DIRECTORY },
      { name: 'sub', mode: 0o040555, mtime: 1000 },
      { name: 'sub/file', mode: 0o100640, data: 'content', mtime: 86_400 },
      { name: 'sub/link', mode: LINK, data: 'file' },
      { name: 'missing/parents/are/made', data: 'x' },
      { name: 'one', nlink: 2, ino: 9, data: '' },
      { name: 'two', nlink: 2, ino: 9, data: 'both' },
    ]);
    assert.equal(readFileSync(join(box, 'sub/file'), 'utf8'), 'content');
    assert.equal(statSync(join(box, 'sub/file')).mode & 0o7777, 0o640);
    assert.equal(statSync(join(box, 'sub/file')).mtimeMs, 86_400_000);
    assert.equal(statSync(join(box, 'sub')).mode & 0o7777, 0o555);
    assert.equal(statSync(join(box, 'sub')).mtimeMs, 1_000_000);
    assert.equal(readlinkSync(join(box, 'sub/link')), 'file');
    assert.equal(readFileSync(join(box, 'one'), 'utf8'), 'both');
    assert.equal(statSync(join(box, 'one')).ino, statSync(join(box, 'two')).ino);
  });

  it('makes a directory that nobody else may enter', async (context) => {
    const { box } = arena(context);
    await unpack(box, [
      { name: '.', mode: DIRECTORY },
      { name: 'program', mode: 0o104755, data: 'x' },
    ]);
    assert.equal(statSync(box).mode & 0o7777, 0o700);
  });

  it('later entries replace earlier ones', async (context) => {
    const { box } = arena(context);
    await unpack(
      box,
      [
        { name: 'a', data: 'first' },
        { name: 'b', mode: LINK, data: 'nowhere' },
        { name: 'd', mode: DIRECTORY },
      ],
      [
        { name: 'a', data: 'second' },
        { name: 'b', mode: DIRECTORY },
        { name: 'b/c', data: 'c' },
        { name: 'd', data: 'file' },
      ],
    );
    assert.equal(readFileSync(join(box, 'a'), 'utf8'), 'second');
    assert.ok(lstatSync(join(box, 'b')).isDirectory());
    assert.equal(readFileSync(join(box, 'd'), 'utf8'), 'file');
  });

  it('creates devices and sets owners, as root', { skip: unlessRoot('it makes devices') }, async (context) => {
    const { box } = arena(context);
    const result = await unpack(box, [
      { name: 'null', mode: 0o020666, rdev: [1, 3], uid: 1, gid: 2 },
      { name: 'loop', mode: 0o060660, rdev: [7, 300] },
      { name: 'pipe', mode: 0o010600 },
      { name: 'set', mode: 0o104755, data: 'x', uid: 5, gid: 6 },
    ]);
    assert.deepEqual(result, { unpacked: 4, skipped: [] });
    const list = execFileSync('stat', ['-c', '%n %F %t:%T %u:%g %a', 'null', 'loop', 'pipe', 'set'], {
      cwd: box,
      encoding: 'utf8',
    });
    assert.equal(
      list,
      'null character special file 1:3 1:2 666\nloop block special file 7:12c 0:0 660\npipe fifo 0:0 0:0 600\nset regular file 0:0 5:6 4755\n',
    );
  });

  it('as an ordinary user, who cannot make devices', {
    skip: unlessRoot('it becomes another user'),
  }, async (context) => {
    const { box } = arena(context);
    mkdirSync(box, { mode: 0o777 });
    execFileSync('chmod', ['777', box]);
    const archive = join(box, '../archive');
    writeFileSync(
      archive,
      makeArchive([
        { name: 'closed', mode: 0o040000 },
        { name: 'closed/file', data: 'x' },
        { name: 'set', mode: 0o104755, data: 'x', uid: 5 },
        { name: 'null', mode: 0o020666, rdev: [1, 3] },
      ]),
    );
    const into = join(box, 'into');
    const output = execFileSync(
      'setpriv',
      [
        '--reuid=nobody',
        '--regid=nogroup',
        '--clear-groups',
        process.execPath,
        programOf('unpack-initrd'),
        archive,
        into,
      ],
      { encoding: 'utf8' },
    );
    assert.deepEqual(JSON.parse(output), { unpacked: 3, skipped: ['null: only root can make a character-device'] });
    assert.equal(statSync(join(into, 'closed')).mode & 0o7777, 0);
    assert.equal(statSync(join(into, 'set')).mode & 0o7777, 0o755);
  });

  it('only into a new or empty directory', async (context) => {
    const { outside } = arena(context);
    await rejectsWith(unpack(outside, [{ name: 'a' }]), 'unpack-not-empty');
    assertUntouched(outside);
  });
});

describe('hostile archives write nothing outside', () => {
  it('names with ..', async (context) => {
    const { box, outside } = arena(context);
    for (const name of ['../outside/victim', 'a/../../outside/victim', '..', 'a/..', '/../outside/victim']) {
      await rejectsWith(unpack(box, [{ name: 'harmless' }, { name, data: 'x' }]), 'archive-unsafe', /leads out/);
      assert.ok(!existsSync(box), 'nothing of it was unpacked');
    }
    assertUntouched(outside);
  });

  it('absolute names stay inside', async (context) => {
    const { box, outside } = arena(context);
    await unpack(box, [
      { name: `${outside}/victim`, data: 'x' },
      { name: '/etc/passwd', data: 'inside' },
    ]);
    assert.equal(readFileSync(join(box, 'etc/passwd'), 'utf8'), 'inside');
    assert.equal(readFileSync(join(box, outside, 'victim'), 'utf8'), 'x');
    assertUntouched(outside);
  });

  it('symbolic links, absolute, relative, and through one another', async (context) => {
    const { box, outside } = arena(context);
    await unpack(box, [
      { name: 'abs', mode: LINK, data: outside },
      { name: 'abs/victim', data: 'x' },
      { name: 'abs/new', data: 'x' },
      { name: 'rel', mode: LINK, data: '../outside' },
      { name: 'rel/victim', data: 'x' },
      { name: 'here', mode: LINK, data: '.' },
      { name: 'chain', mode: LINK, data: 'here/here/../../../outside' },
      { name: 'chain/victim', data: 'x' },
    ]);
    // Links mean what they mean in the initrd, where / is its own root.
    assert.equal(readFileSync(join(box, outside, 'new'), 'utf8'), 'x');
    assert.equal(readFileSync(join(box, 'outside/victim'), 'utf8'), 'x');
    assertUntouched(outside);
  });

  it('a file that replaces a link is not written to its target', async (context) => {
    const { box, outside } = arena(context);
    const victim = join(outside, 'victim');
    await unpack(box, [
      { name: 'a', mode: LINK, data: victim },
      { name: 'a', data: 'x', mode: 0o104777 },
      { name: 'b', mode: LINK, data: victim },
      { name: 'b', mode: DIRECTORY },
      { name: 'c', mode: LINK, data: victim, nlink: 2, ino: 5 },
      { name: 'c', nlink: 2, ino: 5, data: 'y' },
    ]);
    assert.ok(lstatSync(join(box, 'a')).isFile());
    assertUntouched(outside);
    assert.equal(statSync(victim).mode & 0o7777, 0o644);
  });

  it('a directory that becomes a link does not change mode or time of its target', async (context) => {
    const { box, outside } = arena(context);
    const before = statSync(outside);
    await unpack(box, [
      { name: 'd', mode: 0o040700, mtime: 5 },
      { name: 'd', mode: LINK, data: outside, mtime: 5 },
    ]);
    assert.equal(statSync(outside).mtimeMs, before.mtimeMs);
    assert.equal(statSync(outside).mode, before.mode);
  });

  it('a hard link to a name that has become a symbolic link', async (context) => {
    const { box, outside } = arena(context);
    await unpack(box, [
      { name: 'a', nlink: 3, ino: 4, data: 'x' },
      { name: 'a', mode: LINK, data: join(outside, 'victim') },
      { name: 'b', nlink: 3, ino: 4, data: 'x' },
    ]);
    assert.ok(lstatSync(join(box, 'b')).isFile());
    assertUntouched(outside);
  });

  it('circular links', async (context) => {
    const { box } = arena(context);
    const entries = [
      { name: 'a', mode: LINK, data: 'b' },
      { name: 'b', mode: LINK, data: 'a' },
      { name: 'a/x', data: '' },
    ];
    await rejectsWith(unpack(box, entries), 'archive-unsafe', /too many symbolic links/);
  });

  it('into a directory whose path has a link', async (context) => {
    const { box, outside } = arena(context);
    mkdirSync(box);
    symlinkSync('box', join(box, '../alias'));
    await unpack(join(box, '../alias'), [{ name: 'a', data: 'x' }]);
    assert.equal(readFileSync(join(box, 'a'), 'utf8'), 'x');
    assertUntouched(outside);
  });
});

/** `watch`: what changes once it says that it sees it, and what was lost. */
import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { isSystemError } from '../../../../src/util/errors.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { changesIn, ODD_NAME, Programs } from './programs.js';

const { errno, signals } = constants;

describe('watch', () => {
  test('writes what changes once it says that it sees it', async (t) => {
    const programs = await Programs.start(t);
    const { guest } = programs;
    const number = await programs.begin(['watch', programs.directory, '0']);
    const changes = () => changesIn(guest.output(Proc.STDOUT, number));
    await guest.until(() => changes().length === 1, 'that it watches');
    const odd = Buffer.concat([Buffer.from(`${programs.directory}/`), ODD_NAME]);
    mkdirSync(odd);
    writeFileSync(programs.path('a'), 'x');
    renameSync(programs.path('a'), programs.path('b'));
    rmSync(programs.path('b'));
    rmSync(programs.directory, { recursive: true });
    assert.equal(await guest.exit(number), 0);
    const [[, from = 0] = [], [, to = 1] = []] = changes().filter(([change]) => change === 4 || change === 5);
    assert.ok(from > 0);
    assert.equal(from, to);
    assert.deepEqual(
      changes().map(([change, cookie, name]) => [change, cookie === from ? 'move' : cookie, name]),
      [
        [0, 0, ''],
        [1, 0, ODD_NAME.toString('latin1')],
        [1, 0, 'a'],
        [2, 0, 'a'],
        [4, 'move', 'a'],
        [5, 'move', 'b'],
        [3, 0, 'b'],
        [3, 0, ODD_NAME.toString('latin1')],
        [3, 0, ''],
      ],
    );
    await guest.finish();
  });

  test('says what was lost while nobody took its output, and ends when it is killed', async (t) => {
    const programs = await Programs.start(t);
    const { guest } = programs;
    const number = await programs.begin(['watch', '.', '0']);
    await guest.until(() => guest.output(Proc.STDOUT, number).length > 0, 'that it watches');
    const queue = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    // More than the queue of the kernel and all buffers in between have room for. Nothing is read meanwhile.
    const files = ['m', 'n'].map((letter) => openSync(programs.path(letter.repeat(250)), 'w'));
    for (let at = 0; at < queue / 2 + 6000; at += 1) {
      for (const file of files) writeSync(file, 'x');
    }
    for (const file of files) closeSync(file);
    const last = () => {
      const output = guest.output(Proc.STDOUT, number);
      return output.includes(Buffer.from([0, 0, 0, 12, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]));
    };
    await guest.until(last, 'the overflow');
    await guest.signal(signals.SIGKILL, number);
    assert.equal(await guest.exit(number), signals.SIGKILL);
    await guest.finish();
  });

  test('fails', async (t) => {
    const programs = await Programs.start(t);
    assert.equal(await programs.fails(errno.ENOENT, ['watch', 'none', '0']), 'inotify_add_watch(none)');
    await programs.guest.finish();
  });
});

describe('watch of a tree', () => {
  /** Watches, and gives what is told from then on: kind and path. */
  async function watchTree(t: TestContext, make: (programs: Programs) => void) {
    const programs = await Programs.start(t);
    make(programs);
    const number = await programs.begin(['watch', '.', '1']);
    const told = () => changesIn(programs.guest.output(Proc.STDOUT, number)).map(([kind, , path]) => `${kind} ${path}`);
    const until = (change: string) => programs.guest.until(() => told().includes(change), change);
    await until('0 ');
    return { programs, number, told, until };
  }

  test('sees directories that are there, and those that are made', async (t) => {
    const { programs, told, until } = await watchTree(t, (to) => mkdirSync(to.path('a/b/c'), { recursive: true }));
    writeFileSync(programs.path('a/b/c/file'), '');
    await until('1 a/b/c/file');
    mkdirSync(programs.path('new/one/two'), { recursive: true });
    await until('1 new/one/two');
    writeFileSync(programs.path('new/one/two/later'), '');
    await until('1 new/one/two/later');
    rmSync(programs.path('new'), { recursive: true });
    await until('3 new');
    // Its entries first, each once, and none of a directory by itself.
    const removed = told().filter((change) => change.startsWith('3 '));
    assert.deepEqual(removed, ['3 new/one/two/later', '3 new/one/two', '3 new/one', '3 new']);
    // Its number is one of another directory now, perhaps.
    mkdirSync(programs.path('new/one'), { recursive: true });
    writeFileSync(programs.path('new/one/again'), '');
    await until('1 new/one/again');
    await programs.guest.finish();
  });

  test('tells what was in a directory before its watch began', async (t) => {
    const { programs, until } = await watchTree(t, (to) => mkdirSync(to.path('a')));
    const outside = scratchDirectory(t);
    mkdirSync(join(outside, 'full/sub'), { recursive: true });
    writeFileSync(join(outside, 'full/sub/file'), '');
    symlinkSync('/', join(outside, 'full/link'));
    renameSync(join(outside, 'full'), programs.path('a/full'));
    for (const change of ['5 a/full', '1 a/full/sub', '1 a/full/sub/file', '1 a/full/link']) await until(change);
    writeFileSync(programs.path('a/full/sub/new'), '');
    await until('1 a/full/sub/new');
    await programs.guest.finish();
  });

  test('follows a directory that is renamed, and lets go of one that leaves', async (t) => {
    const { programs, told, until } = await watchTree(t, (to) => mkdirSync(to.path('a/b/c'), { recursive: true }));
    const outside = scratchDirectory(t);
    mkdirSync(programs.path('z'));
    // The root, a, a/b, a/b/c and z.
    await untilWatches(programs, 5);
    renameSync(programs.path('a/b'), programs.path('z/moved'));
    await until('5 z/moved');
    writeFileSync(programs.path('z/moved/c/file'), '');
    await until('1 z/moved/c/file');
    // Nothing of it was told as new.
    assert.ok(!told().includes('1 z/moved/c'));
    renameSync(programs.path('z/moved'), join(outside, 'gone'));
    await until('4 z/moved');
    writeFileSync(join(outside, 'gone/c/unseen'), '');
    writeFileSync(programs.path('z/seen'), '');
    await until('1 z/seen');
    assert.deepEqual(
      told().filter((change) => change.includes('unseen')),
      [],
    );
    // The root, a and z.
    await untilWatches(programs, 3);
    renameSync(join(outside, 'gone'), programs.path('a/back'));
    await until('1 a/back/c/unseen');
    await programs.guest.finish();
  });

  test('looks for directories again when changes were lost', async (t) => {
    const { programs, number, told, until } = await watchTree(t, () => {});
    const queue = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    await programs.guest.signal(signals.SIGSTOP, number);
    const file = openSync(programs.path('file'), 'w');
    const other = openSync(programs.path('other'), 'w');
    // It may read some before it stops.
    for (let at = 0; at < 2 * queue; at += 1) writeSync(at % 2 === 0 ? file : other, 'x');
    mkdirSync(programs.path('unseen/sub'), { recursive: true });
    await programs.guest.signal(signals.SIGCONT, number);
    await until('6 ');
    // It looks for them behind that: then this file is seen, as made or because it is there.
    await untilWatches(programs, 3);
    writeFileSync(programs.path('unseen/sub/seen'), '');
    await until('1 unseen/sub/seen');
    assert.ok(!told().includes('1 unseen'));
    for (const fd of [file, other]) closeSync(fd);
    await programs.guest.finish();
  });

  test('fails where directories are too many, at its start or later', async (t) => {
    const { programs, number } = await watchTree(t, (to) => {
      // The root is one of 512, of the test's init.
      for (let at = 1; at < 512; at += 1) mkdirSync(to.path(`${at}`));
    });
    mkdirSync(programs.path('last'));
    assert.equal(await programs.guest.exit(number), 1 << 8);
    assert.equal(programs.guest.output(Proc.STDERR, number).readUInt32BE(0), errno.EMFILE);
    await programs.fails(errno.EMFILE, ['watch', '.', '1']);
    await programs.guest.finish();
  });

  test('ends with its root, and is of a directory', async (t) => {
    const { programs, number, until } = await watchTree(t, (to) => mkdirSync(to.path('a')));
    rmSync(programs.directory, { recursive: true });
    await until('3 ');
    assert.equal(await programs.guest.exit(number), 0);
    await programs.guest.finish();
    const others = await Programs.start(t);
    writeFileSync(others.path('file'), '');
    assert.equal(await others.fails(errno.ENOTDIR, ['watch', 'file', '1']), 'open(file)');
    assert.equal(await others.fails(errno.ENOENT, ['watch', 'none', '1']), 'open(none)');
    await others.guest.finish();
  });
});

/** How many watches the children of a process have. */
function inotifyWatches(init: number | undefined): number {
  const children = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ');
  return children
    .flatMap((pid) => readdirSync(`/proc/${pid}/fdinfo`).map((fd) => `/proc/${pid}/fdinfo/${fd}`))
    .map((path) => readIfThere(path).match(/^inotify wd:/gm)?.length ?? 0)
    .reduce((sum, count) => sum + count, 0);
}

/** A descriptor may be closed meanwhile. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ESRCH')) return '';
    throw error;
  }
}

/** Waits until the program has so many watches. */
async function untilWatches({ guest }: Programs, expected: number): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const seen = inotifyWatches(guest.process.pid);
    if (seen === expected) return;
    assert.ok(Date.now() < deadline, `${seen} watches, not ${expected}`);
    await guest.ok(Proc.SYNC);
  }
}

/** `watch` of a tree: directories that come, go, are renamed, and those that cannot be watched. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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
import { arch } from 'node:process';
import { describe, type TestContext, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { isSystemError } from '../../../../src/util/errors.js';
import { unlessProgram } from '../../../helpers/images.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { changesIn, Programs } from './programs.js';

const { errno, signals } = constants;

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

  /** Does something while the program is stopped, so that it sees all of it afterwards. */
  async function unseen({ guest }: Programs, number: number, action: () => void): Promise<void> {
    await guest.signal(signals.SIGSTOP, number);
    action();
    await guest.signal(signals.SIGCONT, number);
  }

  test('finds a directory that was made just before the one above was renamed', async (t) => {
    const { programs, number, told, until } = await watchTree(t, (to) =>
      mkdirSync(to.path('a/old'), { recursive: true }),
    );
    await unseen(programs, number, () => {
      mkdirSync(programs.path('a/new/sub'), { recursive: true });
      renameSync(programs.path('a'), programs.path('b'));
    });
    for (const change of ['1 b/new', '1 b/new/sub']) await until(change);
    writeFileSync(programs.path('b/new/sub/file'), '');
    await until('1 b/new/sub/file');
    assert.ok(!told().includes('1 b/old'));
    const outside = join(scratchDirectory(t), 'a');
    await unseen(programs, number, () => {
      renameSync(programs.path('b'), outside);
      mkdirSync(join(outside, 'there'));
      renameSync(outside, programs.path('b'));
    });
    await until('1 b/there');
    writeFileSync(programs.path('b/there/file'), '');
    await until('1 b/there/file');
    await programs.guest.finish();
  });

  test('follows two directories that are exchanged', { skip: unlessProgram('perl') }, async (t) => {
    const { programs, until } = await watchTree(t, (to) => {
      for (const name of ['a', 'b']) mkdirSync(to.path(name));
    });
    // renameat2(2) with AT_FDCWD and RENAME_EXCHANGE.
    const call = `exit(syscall(${arch === 'x64' ? 316 : 276}, -100, $ARGV[0], -100, $ARGV[1], 2) != 0)`;
    execFileSync('perl', ['-e', call, programs.path('a'), programs.path('b')]);
    await until('5 a');
    for (const name of ['a', 'b']) {
      writeFileSync(programs.path(`${name}/in-${name}`), '');
      await until(`1 ${name}/in-${name}`);
    }
    await programs.guest.finish();
  });

  test('tells paths of 4,095 bytes, and that longer ones are missing', async (t) => {
    const { programs, told, until } = await watchTree(t, () => {});
    const [deep, name] = ['d'.repeat(250), 'f'.repeat(79)];
    const make = (action: string) =>
      execFileSync('sh', [
        '-c',
        `cd -P "$0"; for i in $(seq 16); do mkdir -p ${deep}; cd -P ${deep}; done; ${action}`,
        programs.directory,
      ]);
    make('');
    await untilWatches(programs, 17);
    make(`touch ${name}`);
    await until(`1 ${`${deep}/`.repeat(16)}${name}`);
    assert.ok(!told().includes('6 '));
    make(`mkdir ${name}x`);
    await until('6 ');
    writeFileSync(programs.path('later'), '');
    await until('1 later');
    execFileSync('rm', ['-rf', programs.path(deep)]);
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
    const { programs, number, told } = await watchTree(t, (to) => {
      // The root is one of 512, of the test's init.
      for (let at = 1; at < 512; at += 1) mkdirSync(to.path(`${at}`));
    });
    await unseen(programs, number, () => {
      writeFileSync(programs.path('before'), '');
      mkdirSync(programs.path('last'));
    });
    assert.equal(await programs.guest.exit(number), 1 << 8);
    assert.equal(programs.guest.output(Proc.STDERR, number).readUInt32BE(0), errno.EMFILE);
    assert.ok(told().includes('1 before'));
    await programs.fails(errno.EMFILE, ['watch', '.', '1']);
    await programs.guest.finish();
  });

  test('ends with its root, and is of a directory', async (t) => {
    const { programs, number, told, until } = await watchTree(t, (to) => mkdirSync(to.path('a')));
    await unseen(programs, number, () => {
      mkdirSync(programs.path('b'));
      rmSync(programs.directory, { recursive: true });
    });
    await until('3 ');
    assert.equal(await programs.guest.exit(number), 0);
    for (const change of ['1 b', '3 a', '3 b']) assert.ok(told().includes(change), change);
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

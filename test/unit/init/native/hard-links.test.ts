/** Files with several names, in `pack` and `unpack`. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { Guest } from './driver.js';
import * as records from './tree-records.js';
import { flags, pack, report, unpack } from './trees.js';

const { errno } = constants;
const { RECORD, directory, end, file, hardLink, leave, parse, sharedFile } = records;

/** Of 4,092 bytes, so that the path of a file with a name of two is the longest that may have further names. */
const LONG_PATH = Array.from({ length: 16 }, (_, at) => 'd'.repeat(at < 15 ? 255 : 252));

describe('pack', () => {
  test('sends a file once, and its other names as links to it', async (t) => {
    const top = scratchDirectory(t);
    mkdirSync(join(top, 'tree', 'sub'), { recursive: true });
    writeFileSync(join(top, 'tree', 'a'), 'content');
    writeFileSync(join(top, 'outside'), 'other');
    for (const name of ['b', 'sub/c']) linkSync(join(top, 'tree', 'a'), join(top, 'tree', name));
    linkSync(join(top, 'outside'), join(top, 'tree', 'd'));
    const entries = parse(await pack(t, join(top, 'tree')));
    const group = ['a', 'b', 'sub/c'].map((name) => entries.get(name));
    assert.deepEqual(group.map((said) => said?.type).sort(), [RECORD.SHARED_FILE, RECORD.HARD_LINK, RECORD.HARD_LINK]);
    const shared = [...entries.values()].filter(({ type }) => type === RECORD.SHARED_FILE);
    assert.deepEqual(new Set(shared.map(({ content }) => String(content))), new Set(['content', 'other']));
    // The directory has an order of its own.
    const number = shared.findIndex(({ content }) => String(content) === 'content');
    assert.deepEqual(
      group.filter((said) => said?.type === RECORD.HARD_LINK).map((said) => said?.flags),
      [number, number],
    );
    assert.equal(parse(await pack(t, join(top, 'tree', 'a'))).get('')?.type, RECORD.FILE);
  });

  test('sends one as files of their own where paths are too long', async (t) => {
    const top = scratchDirectory(t);
    const stream = [
      directory(''),
      ...LONG_PATH.map((name) => directory(name)),
      sharedFile('ab', 'content'),
      hardLink('abc', 0),
      ...LONG_PATH.map(() => leave),
      leave,
      end,
    ];
    assert.equal(await unpack(t, top, 'tree', ...stream), undefined);
    const entries = parse(await pack(t, join(top, 'tree')));
    const types = ['ab', 'abc'].map((name) => entries.get(`${LONG_PATH.join('/')}/${name}`)?.type);
    assert.deepEqual(types, [RECORD.SHARED_FILE, RECORD.FILE]);
    execFileSync('rm', ['-rf', join(top, 'tree')]);
  });
});

describe('unpack', () => {
  const tree = [directory(''), sharedFile('a', 'content'), directory('sub'), hardLink('b', 0), leave];

  test('makes one file with all its names, also over those that are there', async (t) => {
    const top = scratchDirectory(t);
    for (let round = 0; round < 2; round += 1) {
      assert.equal(await unpack(t, top, 'tree', ...tree, hardLink('c', 0), hardLink('c', 0), leave, end), undefined);
      const found = ['a', 'sub/b', 'c'].map((name) => statSync(join(top, 'tree', name)));
      assert.deepEqual([new Set(found.map(({ ino }) => ino)).size, found[0]?.nlink], [1, 3]);
      assert.deepEqual(readdirSync(join(top, 'tree'), { recursive: true }).sort(), ['a', 'c', 'sub', 'sub/b']);
    }
    assert.equal(readFileSync(join(top, 'tree', 'c'), 'utf8'), 'content');
  });

  test('has room for so many bytes of paths, and for no more', async (t) => {
    const top = scratchDirectory(t);
    const inDirectory = LONG_PATH.map((name) => directory(name));
    // Of 4,095 bytes each.
    const most = Array.from({ length: 4097 }, () => sharedFile('ab', ''));
    const up = LONG_PATH.map(() => leave);
    assert.equal(await unpack(t, top, 'tree', directory(''), ...inDirectory, ...most, ...up, leave, end), undefined);
    const failure = await unpack(t, top, 'tree', directory(''), ...inDirectory, ...most, sharedFile('ab', ''));
    assert.deepEqual(failure, [errno.EBADMSG, 'stdin: too many files with several names']);
    execFileSync('rm', ['-rf', join(top, 'tree')]);
  });

  /** What the program reports if something is done between the files and a further name of the first. */
  async function interrupted(t: TestContext, top: string, action: () => void) {
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['unpack', top, 'tree'], { flags });
    guest.stdin(Buffer.concat([directory(''), directory('sub'), sharedFile('a', 'x'), leave, file('z', '')]), number);
    while (!existsSync(join(top, 'tree', 'z'))) await guest.ok(Proc.SYNC);
    action();
    guest.stdin(Buffer.concat([hardLink('b', 0), leave, end]), number);
    guest.stdinEnd(number);
    const failure = await report(guest, number);
    await guest.finish();
    return failure;
  }

  function rename(from: string, to: string, directory: string, change: (path: string) => void) {
    renameSync(join(directory, from), join(directory, to));
    change(join(directory, to));
  }

  test('gives no other file another name, and follows no link to it', async (t) => {
    for (const [expected, exchange] of [
      // Another user may get the inode of a file that is removed.
      [errno.ESTALE, (sub: string) => rename('a', 'new', sub, (path) => chownSync(path, 65_534, 65_534))],
      [errno.ESTALE, (sub: string) => rename('a', 'new', sub, (path) => truncateSync(path, 2))],
      [errno.ESTALE, (sub: string) => rename('a', 'new', sub, (path) => utimesSync(path, 1, 1))],
      [errno.ESTALE, (sub: string) => writeFileSync(join(sub, 'new'), 'other')],
      [errno.ESTALE, (sub: string, outside: string) => symlinkSync(join(outside, 'a'), join(sub, 'new'))],
      [errno.ESTALE, (sub: string, outside: string) => linkSync(join(outside, 'a'), join(sub, 'new'))],
    ] as const) {
      const top = scratchDirectory(t);
      mkdirSync(join(top, 'outside'));
      writeFileSync(join(top, 'outside', 'a'), 'secret');
      const sub = join(top, 'tree', 'sub');
      const failure = await interrupted(t, top, () => {
        exchange(sub, join(top, 'outside'));
        renameSync(join(sub, 'new'), join(sub, 'a'));
      });
      assert.deepEqual(failure, [expected, `link(${top}/tree/b)`]);
      assert.deepEqual(readdirSync(join(top, 'tree')).sort(), ['sub', 'z']);
    }
    const top = scratchDirectory(t);
    mkdirSync(join(top, 'outside'));
    const failure = await interrupted(t, top, () => {
      linkSync(join(top, 'tree', 'sub', 'a'), join(top, 'outside', 'a'));
      renameSync(join(top, 'tree', 'sub'), join(top, 'old'));
      symlinkSync(join(top, 'outside'), join(top, 'tree', 'sub'));
      chmodSync(join(top, 'outside'), 0o755);
    });
    assert.deepEqual(failure, [errno.ENOTDIR, `link(${top}/tree/b)`]);
  });
});

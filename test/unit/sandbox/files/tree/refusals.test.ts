/** Copies where a file system does not have all that a tree has, and where others exchange what is made. */
import assert from 'node:assert/strict';
import fs, {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { rejectsWith } from '../../../../helpers/errors.js';
import { unlessRoot } from '../../../../helpers/scratch.js';
import * as records from '../../../init/native/tree-records.js';
import { CONFIG, lyingGuest } from './guests.js';
import { download, victims } from './victims.js';

const { directory, end, extent, file, fileBegin, fileEnd, hardLink, leave, RECORD, sharedFile } = records;

/** Puts another function in the place of one of node:fs, also for those who have imported it. */
function replace(
  t: TestContext,
  call: 'linkSync' | 'fchmodSync' | 'lutimesSync' | 'symlinkSync' | 'mkdirSync',
  by: () => void,
) {
  t.mock.method(fs, call, by);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

function refuse(t: TestContext, call: 'link' | 'fchmod' | 'lutimes' | 'symlink', code: string): void {
  replace(t, `${call}Sync`, () => {
    throw Object.assign(new Error(code), { code, errno: -1, syscall: call });
  });
}

describe('a file system of the host that has', () => {
  test('no hard links: they become copies, which count', async (t) => {
    const { to } = victims(t);
    const names = [sharedFile('a', 'content', { mode: 0o640 }), hardLink('b', 0), hardLink('c', 0)];
    refuse(t, 'link', 'EPERM');
    await download(to, [directory(''), ...names, leave, end], 1000);
    const [a, b] = ['a', 'b'].map((name) => statSync(join(to, 'from', name)));
    assert.deepEqual([b?.mode, b?.mtimeMs, b?.nlink], [a?.mode, a?.mtimeMs, 1]);
    assert.equal(readFileSync(join(to, 'from', 'c'), 'utf8'), 'content');
    const holes = Buffer.concat([Buffer.alloc(4 << 20), Buffer.from('x'), Buffer.alloc(1 << 20)]);
    const sparse = Buffer.concat([
      fileBegin('s', holes.length, {}, RECORD.SHARED_FILE),
      extent(4 << 20, 'x'),
      fileEnd(),
      hardLink('t', 0),
    ]);
    await download(to, [directory(''), sparse, leave, end], 10 << 20);
    const copy = join(to, 'from', 't');
    assert.deepEqual(readFileSync(copy), holes);
    assert.ok(statSync(copy).blocks * 512 <= 2 << 20);
    const large = sharedFile('a', Buffer.alloc(3000));
    const stream = [directory(''), large, ...Array.from({ length: 9 }, (_, at) => hardLink(`${at}`, 0)), leave, end];
    const guest = lyingGuest({ output: [Buffer.concat(stream)], status: 0 });
    await rejectsWith(downloadTree(guest, CONFIG, '/from', to, { maxBytes: 10_000 }), 'copy-too-large');
  });

  test('no modes or times: the copy goes on, and says so', async (t) => {
    const { to } = victims(t);
    refuse(t, 'fchmod', 'EPERM');
    refuse(t, 'lutimes', 'ENOTSUP');
    const { skipped, files } = await download(to, [directory(''), file('f', 'x'), leave, end], 1000);
    assert.equal(files, 1);
    assert.deepEqual(
      skipped.map(({ path, reason }) => [path.replace(to, ''), /does not keep its (mode|time)$/.exec(reason)?.[1]]),
      [
        ['/from/f', 'mode'],
        ['/from/f', 'time'],
        ['/from', 'mode'],
      ],
    );
    assert.equal(readFileSync(join(to, 'from', 'f'), 'utf8'), 'x');
  });

  test('no symbolic links: the copy fails with the name of the first', async (t) => {
    const { to } = victims(t);
    refuse(t, 'symlink', 'EPERM');
    const stream = [directory(''), records.link('l', 'x'), leave, end];
    await rejectsWith(download(to, stream, 1000), 'copy-failed', /from\/l on the host: .* no symbolic links/);
    assert.deepEqual(readdirSync(join(to, 'from')), []);
  });
});

describe('a directory that is exchanged when it is made', () => {
  /** Has `new` be there then. */
  function exchange(t: TestContext, to: string): void {
    const { mkdirSync: real } = fs;
    replace(t, 'mkdirSync', ((path: Buffer, mode: number) => {
      real(path, mode);
      rmdirSync(path);
      renameSync(join(to, 'new'), path);
    }) as () => void);
  }

  const stream = [directory('', { mode: 0o777 }), file('f', 'x'), leave, end];

  test('by one with files keeps them and its mode, as one that was there', async (t) => {
    const { to } = victims(t);
    mkdirSync(join(to, 'new'), { mode: 0o700 });
    writeFileSync(join(to, 'new', 'private'), '');
    exchange(t, to);
    await download(to, stream, 1000);
    const names = readdirSync(join(to, 'from')).sort();
    assert.deepEqual([statSync(join(to, 'from')).mode & 0o777, names], [0o700, ['f', 'private']]);
  });

  test('by one of another user gets no files', { skip: unlessRoot('two users') }, async (t) => {
    const { to } = victims(t);
    mkdirSync(join(to, 'new'), { mode: 0o700 });
    chownSync(join(to, 'new'), 65_534, 65_534);
    exchange(t, to);
    await rejectsWith(download(to, stream, 1000), 'copy-failed', /moved or replaced/);
    assert.deepEqual([statSync(join(to, 'from')).mode & 0o777, readdirSync(join(to, 'from'))], [0o700, []]);
  });
});

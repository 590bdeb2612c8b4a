/** Files with several names, in copies between this process and the native init, and from a guest that lies. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
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
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { SharedPaths } from '../../../../../src/sandbox/files/tree/shared-paths.js';
import { uploadTree } from '../../../../../src/sandbox/files/tree/upload.js';
import { deferred } from '../../../../../src/util/promises.js';
import { rejectsWith } from '../../../../helpers/errors.js';
import { unlessRoot } from '../../../../helpers/scratch.js';
import * as records from '../../../init/native/tree-records.js';
import { CONFIG, lyingGuest } from './guests.js';
import { setUp } from './setup.js';
import { download, victims } from './victims.js';

const { directory, end, file, hardLink, leave, sharedFile } = records;

/** The names of each file with several names in a directory, sorted. */
function groupsIn(top: string): string[] {
  const groups = new Map<number, string[]>();
  for (const name of readdirSync(top, { recursive: true }) as string[]) {
    const { ino, nlink } = statSync(join(top, name));
    if (nlink > 1 && statSync(join(top, name)).isFile()) groups.set(ino, [...(groups.get(ino) ?? []), name]);
  }
  return [...groups.values()].map((names) => names.sort().join(' ')).sort();
}

test('there is room for as many of them at both ends', () => {
  const paths = new SharedPaths();
  for (let at = 0; at < 65_536; at += 1) assert.ok(paths.add(Buffer.from('f')));
  assert.equal(paths.add(Buffer.from('f')), false);
  const long = new SharedPaths();
  for (let at = 0; at < 15; at += 1) long.enter(Buffer.alloc(255));
  long.enter(Buffer.alloc(252));
  assert.equal(long.add(Buffer.alloc(3)), false);
  for (let at = 0; at < 4097; at += 1) assert.ok(long.add(Buffer.alloc(2)));
  assert.equal(long.add(Buffer.alloc(2)), false);
  long.leave();
  assert.equal(long.add(Buffer.alloc(1)), false);
});

describe('files with several names', () => {
  test('have them there and back', async (t) => {
    const { top, source, inside, back, channel } = await setUp(t);
    mkdirSync(join(source, 'sub', 'far'), { recursive: true });
    writeFileSync(join(source, 'z'), Buffer.alloc(200_000, 'one'));
    writeFileSync(join(source, 'sub', 'two'), 'two');
    writeFileSync(join(top, 'outside'), 'outside');
    for (const name of ['a', 'sub/b', 'sub/far/c']) linkSync(join(source, 'z'), join(source, name));
    linkSync(join(source, 'sub', 'two'), join(source, 'sub', 'far', 'two'));
    linkSync(join(top, 'outside'), join(source, 'alone'));
    const up = await uploadTree(channel, CONFIG, source, inside);
    assert.deepEqual([up.files, up.bytes], [7, 200_000 + 3 + 7]);
    const down = await downloadTree(channel, CONFIG, inside, back);
    assert.deepEqual([down.files, down.bytes], [7, 200_000 + 3 + 7]);
    for (const copy of [inside, back]) {
      assert.deepEqual(groupsIn(copy), ['a sub/b sub/far/c z', 'sub/far/two sub/two']);
      assert.deepEqual(readFileSync(join(copy, 'sub/far/c')), readFileSync(join(source, 'z')));
      assert.equal(statSync(join(copy, 'alone')).nlink, 1);
    }
    // What has more levels than descriptors that stay open.
    const deep = join(source, 'd/'.repeat(40));
    mkdirSync(deep, { recursive: true });
    linkSync(join(source, 'a'), join(deep, 'last'));
    linkSync(join(deep, 'last'), join(source, 'zz'));
    await uploadTree(channel, CONFIG, `${source}/.`, inside);
    await downloadTree(channel, CONFIG, `${inside}/.`, back);
    assert.equal(statSync(join(back, 'd/'.repeat(40), 'last')).ino, statSync(join(back, 'zz')).ino);
    assert.deepEqual(
      (readdirSync(top, { recursive: true }) as string[]).filter((name) => name.includes('.virt-sandbox-')),
      [],
    );
  });
});

describe('an attack:', () => {
  test('a path that is too long to be kept', async (t) => {
    const { to } = victims(t);
    const far = Array.from({ length: 16 }, () => directory('d'.repeat(255)));
    const stream = [directory(''), ...far, sharedFile('f', 'x')];
    await rejectsWith(download(to, stream, 1000), 'tree-malformed', /too many files with several names/);
    // Node.js removes no tree whose paths are so long.
    execFileSync('rm', ['-rf', to]);
  });

  const exchanges: readonly (readonly [
    name: string,
    code: string,
    exchange: (tree: string, outside: string) => void,
  ])[] = [
    [
      'a link in place of a file with several names',
      'copy-failed',
      (tree, outside) => {
        symlinkSync(join(outside, 'secret'), join(tree, 'link'));
        renameSync(join(tree, 'link'), join(tree, 'sub', 'a'));
      },
    ],
    [
      'another file in its place',
      'copy-failed',
      (tree, outside) => {
        linkSync(join(outside, 'sub', 'own'), join(tree, 'file'));
        renameSync(join(tree, 'file'), join(tree, 'sub', 'a'));
      },
    ],
    // Another user may get the inode of a file that is removed.
    ['another owner of it', 'copy-failed', (tree) => chownSync(join(tree, 'sub', 'a'), 65_534, 65_534)],
    ['another size of it', 'copy-failed', (tree) => truncateSync(join(tree, 'sub', 'a'), 2)],
    ['another time of it', 'copy-failed', (tree) => utimesSync(join(tree, 'sub', 'a'), 1, 1)],
    [
      'a link in place of its directory',
      'not-a-directory',
      (tree, outside) => {
        renameSync(join(tree, 'sub'), join(tree, 'old'));
        symlinkSync(join(outside, 'sub'), join(tree, 'sub'));
      },
    ],
  ];
  for (const [name, code, exchange] of exchanges) {
    test(name, { skip: name.endsWith('owner of it') && unlessRoot('two users') }, async (t) => {
      const { to, outside } = victims(t);
      const first = Buffer.concat([directory(''), directory('sub'), sharedFile('a', 'x'), leave, file('z', '')]);
      const { promise: later, resolve } = deferred<readonly Buffer[]>();
      let isExchanged = false;
      const onProgress = () => {
        if (isExchanged || !existsSync(join(to, 'from', 'z'))) return;
        isExchanged = true;
        writeFileSync(join(outside, 'sub', 'own'), 'own');
        exchange(join(to, 'from'), outside);
        resolve([Buffer.concat([hardLink('b', 0), leave, end])]);
      };
      const guest = lyingGuest({ output: [first], later, status: 0 });
      await rejectsWith(downloadTree(guest, CONFIG, '/from', to, { onProgress }), code, /from\/b on the host/);
      assert.equal(existsSync(join(to, 'from', 'b')), false);
      assert.deepEqual(
        (readdirSync(to, { recursive: true }) as string[]).filter((each) => each.includes('.virt-sandbox-')),
        [],
      );
    });
  }
});

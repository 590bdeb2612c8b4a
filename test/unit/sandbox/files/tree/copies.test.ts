/** Copies of trees, between this process and the native init: there and back, and what fails. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { uploadTree } from '../../../../../src/sandbox/files/tree/upload.js';
import { textOf } from '../../../../../src/util/raw-text.js';
import { rejectsWith } from '../../../../helpers/errors.js';
import { listTree } from '../../../../helpers/tree-listing.js';
import { CONFIG } from './guests.js';
import { setUp } from './setup.js';

const ODD = Buffer.from([0x0a, 0xff, 0xfe, 0x20, 0x27]);

/** A tree with every kind of entry that is copied. */
function makeTree(top: string): void {
  mkdirSync(join(top, 'sub', 'empty'), { recursive: true });
  const odd = Buffer.concat([Buffer.from(`${top}/sub/`), ODD]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from('/'), Buffer.from('y'.repeat(255))]), 'in odd');
  writeFileSync(join(top, 'executable'), '#!/bin/sh\n');
  chmodSync(join(top, 'executable'), 0o755);
  writeFileSync(join(top, 'none'), '');
  writeFileSync(join(top, 'large'), Buffer.alloc(3_000_001, 'large '));
  symlinkSync('../nowhere \n', join(top, 'sub', 'link'));
  execFileSync('mkfifo', ['-m', '620', join(top, 'sub', 'fifo')]);
  const fd = openSync(join(top, 'sparse'), 'w');
  writeSync(fd, 'middle', 1 << 20);
  closeSync(fd);
  truncateSync(join(top, 'sparse'), 10 << 20);
  chmodSync(join(top, 'sub', 'empty'), 0o500);
  chmodSync(odd, 0o1777);
  for (const [at, path] of [odd, join(top, 'executable'), join(top, 'sub', 'empty'), join(top, 'sub'), top].entries())
    utimesSync(path, 1, 1_000_000_000 + at + 0.123_456_5);
}

describe('a copy of a tree', () => {
  test('there and back has the same entries', async (t) => {
    const { source, inside, back, channel } = await setUp(t);
    makeTree(source);
    const server = createServer().listen(join(source, 'socket'));
    const up = await uploadTree(channel, CONFIG, source, inside);
    assert.deepEqual(up, {
      files: 5,
      directories: 4,
      links: 1,
      bytes: 6 + 10 + 3_000_001 + 65_536,
      skipped: [{ path: join(source, 'socket'), reason: 'it is a socket' }],
    });
    await new Promise((closed) => server.close(closed));
    utimesSync(source, 1, 1_000_000_004);
    utimesSync(inside, 1, 1_000_000_004);
    const said: unknown[] = [];
    const down = await downloadTree(channel, CONFIG, inside, back, { onProgress: (progress) => said.push(progress) });
    assert.deepEqual(down, { ...up, skipped: [] });
    assert.deepEqual(said.at(-1), { files: 5, bytes: up.bytes });
    const expected = listTree(source);
    assert.deepEqual(listTree(inside), expected);
    assert.deepEqual(listTree(back), expected);
    assert.equal(expected['sparse']?.isSparse, true);
    // Pieces of 64 KiB are holes, or not.
    assert.ok(lstatSync(join(back, 'sparse')).blocks <= 128);
  });

  test('goes where cp puts it', async (t) => {
    const { top, source, channel } = await setUp(t);
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'content');
    const copies: [string, string, string][] = [
      // Source, destination, and where the file is then.
      [source, 'there', 'there/source/file'],
      [`${source}/`, 'there', 'there/source/file'],
      [`${source}/.`, 'there', 'there/file'],
      [source, 'new', 'new/file'],
      [`${source}/.`, 'new', 'new/file'],
      [source, 'new/', 'new/file'],
      [join(source, 'file'), 'there', 'there/file'],
      [join(source, 'file'), 'new', 'new'],
    ];
    for (const [at, [from, to, result]] of copies.entries()) {
      for (const [way, copy] of [
        ['up', uploadTree],
        ['down', downloadTree],
      ] as const) {
        const into = join(top, `${way}-${at}`);
        mkdirSync(join(into, 'there'), { recursive: true });
        await copy(channel, CONFIG, from, to.endsWith('/') ? `${into}/${to}` : join(into, to));
        assert.equal(readFileSync(join(into, result), 'utf8'), 'content', `${way} ${from} ${to}`);
      }
    }
  });

  test('a path of the host is what the kernel says it is', async (t) => {
    const { top, source, channel } = await setUp(t);
    mkdirSync(join(top, 'far', 'away'), { recursive: true });
    symlinkSync('far/away', join(top, 'link'));
    writeFileSync(source, 'content');
    // Through the link: what is above `away`, not what is above `link`.
    await downloadTree(channel, CONFIG, source, `${top}/link/..`);
    await downloadTree(channel, CONFIG, source, `${top}/link/../new`);
    assert.deepEqual(readdirSync(join(top, 'far')).sort(), ['away', 'new', 'source']);
    await rejectsWith(downloadTree(channel, CONFIG, source, `${top}/none/../new`), 'file-not-found');
    await rejectsWith(downloadTree(channel, CONFIG, source, ''), 'file-not-found');
    const odd = textOf(ODD);
    await downloadTree(channel, CONFIG, source, `${top}/far/${odd}`);
    await uploadTree(channel, CONFIG, `${top}/far/${odd}`, `${top}/`);
    await downloadTree(channel, CONFIG, `${top}/${odd}`, `${top}/link`);
    const name = Buffer.concat([Buffer.from(`${top}/far/away/`), ODD]);
    assert.equal(readFileSync(name, 'utf8'), 'content');
  });

  test('a relative path inside begins at the directory of the application, whoever the user is', async (t) => {
    const { top, source, channel } = await setUp(t);
    writeFileSync(source, 'content');
    mkdirSync(join(top, 'inside'));
    const guest = { ...CONFIG, cwd: top };
    const options = { user: String(CONFIG.identity.uid) };
    await uploadTree(channel, guest, source, 'inside', options);
    await downloadTree(channel, guest, 'inside/source', join(top, 'back'), options);
    assert.equal(readFileSync(join(top, 'back'), 'utf8'), 'content');
    // Nobody goes through a directory that an absolute path does not need.
    const lost = { ...CONFIG, cwd: join(top, 'gone') };
    await downloadTree(channel, lost, source, join(top, 'again'));
    await uploadTree(channel, lost, source, join(top, 'inside', 'again'));
    await rejectsWith(downloadTree(channel, lost, 'source', join(top, 'no')), 'cwd-unusable');
  });

  test('a file replaces a file, and a directory is merged', async (t) => {
    const { source, inside, back, channel } = await setUp(t);
    for (const [top, content] of [
      [source, 'new'],
      [inside, 'old'],
      [back, 'old'],
    ] as const) {
      mkdirSync(join(top, 'sub'), { recursive: true });
      writeFileSync(join(top, 'sub', 'file'), content);
      writeFileSync(join(top, 'sub', `own-${content}`), content);
    }
    chmodSync(join(source, 'sub'), 0o777);
    chmodSync(join(back, 'sub'), 0o700);
    await uploadTree(channel, CONFIG, `${source}/.`, inside);
    await downloadTree(channel, CONFIG, `${source}/.`, back);
    for (const top of [inside, back]) {
      assert.equal(readFileSync(join(top, 'sub', 'file'), 'utf8'), 'new');
      assert.deepEqual(readdirSync(join(top, 'sub')).sort(), ['file', 'own-new', 'own-old']);
    }
    assert.equal(lstatSync(join(back, 'sub')).mode & 0o777, 0o700);
  });

  test('of 1,100 levels', async (t) => {
    const { top, source, inside, back, channel } = await setUp(t);
    const deepest = join(source, 'd/'.repeat(1100));
    mkdirSync(deepest, { recursive: true });
    writeFileSync(join(deepest, 'file'), 'deep');
    const up = await uploadTree(channel, CONFIG, source, inside);
    const down = await downloadTree(channel, CONFIG, inside, back);
    assert.deepEqual([up.directories, up.files, down.directories, down.files], [1101, 1, 1101, 1]);
    const listing = (of: string) => execFileSync('find', ['.'], { cwd: of, maxBuffer: 64 << 20 });
    assert.ok(listing(back).equals(listing(source)));
    execFileSync('rm', ['-rf', source, inside, back]);
    assert.deepEqual(readdirSync(top), []);
  });
});

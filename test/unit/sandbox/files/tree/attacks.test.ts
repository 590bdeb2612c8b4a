/** A guest that attacks: nothing but the destination changes, and others have their turn. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { downloadTree } from '../../../../../src/sandbox/files/tree/download.js';
import { SkipReason } from '../../../../../src/sandbox/files/tree/format.js';
import { Tally } from '../../../../../src/sandbox/files/tree/tally.js';
import type { CopyOptions } from '../../../../../src/sandbox/files/tree/types.js';
import { uploadTree } from '../../../../../src/sandbox/files/tree/upload.js';
import { deferred } from '../../../../../src/util/promises.js';
import { textOf } from '../../../../../src/util/raw-text.js';
import { rejectsWith } from '../../../../helpers/errors.js';
import * as records from '../../../init/native/tree-records.js';
import { CONFIG, lyingGuest } from './guests.js';
import { download, victims } from './victims.js';

const { directory, end, extent, fifo, file, fileBegin, fileEnd, leave, link, skipped } = records;

const begun = fileBegin('f', 100);

describe('an attack:', () => {
  test('levels without end', async (t) => {
    const { to, unchanged } = victims(t);
    const levels = Array.from({ length: 4096 }, () => directory('d'));
    await rejectsWith(download(to, [directory(''), ...levels], 4000), 'tree-malformed', /levels/);
    // Node.js removes no tree of so many.
    execFileSync('rm', ['-rf', to]);
    unchanged();
  });

  test('a link, and what is to be below it', async (t) => {
    const { to, outside, unchanged } = victims(t);
    const attack = (...entries: Buffer[]) => download(to, [directory(''), ...entries, leave, end], 1000);
    const way = link('way', outside);
    await rejectsWith(attack(way, directory('way'), file('secret', 'x'), leave), 'not-a-directory', /way on the host/);
    unchanged();
    // A file of its name takes the place of the link, and not of what it leads to.
    await attack(link('file', join(outside, 'secret')), file('file', 'mine'), link('all', '../../outside'));
    assert.equal(readFileSync(join(to, 'from', 'file'), 'utf8'), 'mine');
    assert.equal(readlinkSync(join(to, 'from', 'all')), '../../outside');
    // One that an earlier copy has left.
    await rejectsWith(attack(directory('all'), file('secret', 'x'), leave), 'not-a-directory', /all on the host/);
    unchanged();
  });

  test('links in place of the tree', async (t) => {
    const { to, outside, unchanged } = victims(t);
    await download(to, [link('', outside), end], 1000);
    await rejectsWith(download(to, [directory(''), file('secret', 'x'), leave, end], 1000), 'not-a-directory');
    await download(to, [file('', 'x'), end], 1000);
    assert.equal(readFileSync(join(to, 'from'), 'utf8'), 'x');
    unchanged();
  });

  test('a link that is put there while it is copied', async (t) => {
    const { to, outside, unchanged } = victims(t);
    // Twenty levels, so that the first are closed; then the way up is exchanged.
    const down = Array.from({ length: 20 }, (_, at) => directory(`d${at}`));
    const stream = [directory(''), ...down, file('f', 'x'), ...down.map(() => leave), file('secret', 'x'), leave, end];
    const bytes = Buffer.concat(stream);
    const swap = () => {
      renameSync(join(to, 'from', 'd0', 'd1'), join(to, 'moved'));
      renameSync(join(to, 'from'), join(to, 'old'));
      symlinkSync(outside, join(to, 'from'));
    };
    const at = bytes.indexOf(Buffer.concat([leave, leave]));
    const { promise: later, resolve } = deferred<readonly Buffer[]>();
    const onProgress = ({ files }: { files: number }) => {
      if (files === 0 || existsSync(join(to, 'moved'))) return;
      swap();
      resolve([bytes.subarray(at)]);
    };
    const guest = lyingGuest({ output: [bytes.subarray(0, at)], later, status: 0 });
    await rejectsWith(
      downloadTree(guest, CONFIG, '/from', to, { onProgress }),
      'copy-failed',
      /moved or replaced while/,
    );
    unchanged();
  });

  test('one name for a directory and a file', async (t) => {
    const { to, unchanged } = victims(t);
    const attack = (...entries: Buffer[]) => download(to, [directory(''), ...entries, leave, end], 1000);
    await rejectsWith(attack(directory('a'), leave, file('a', 'x')), 'file-exists', /from\/a on the host/);
    await rejectsWith(attack(file('b', 'x'), directory('b'), leave), 'not-a-directory', /from\/b on the host/);
    await attack(file('c', '1'), file('c', '2'), directory('d'), leave, directory('d'), leave);
    assert.equal(readFileSync(join(to, 'from', 'c'), 'utf8'), '2');
    unchanged();
  });

  test('set-user-ID, set-group-ID, and modes of directories that are there', async (t) => {
    const { to } = victims(t);
    mkdirSync(join(to, 'from'), { mode: 0o700 });
    mkdirSync(join(to, 'from', 'there'), { mode: 0o700 });
    await download(
      to,
      [
        directory('', { mode: 0o7777 }),
        file('program', '#!/bin/sh', { mode: 0o6755 }),
        directory('there', { mode: 0o7777 }),
        leave,
        directory('new', { mode: 0o7750 }),
        leave,
        fifo('fifo', { mode: 0o7622 }),
        leave,
        end,
      ],
      1000,
    );
    const modes = ['.', 'program', 'there', 'new', 'fifo'].map(
      (name) => lstatSync(join(to, 'from', name)).mode & 0o7777,
    );
    assert.deepEqual(modes, [0o700, 0o755, 0o700, 0o1750, 0o622]);
  });

  test('times that no file can have', async (t) => {
    const { to } = victims(t);
    const at = (name: string, seconds: bigint) => file(name, '', { seconds, nanoseconds: 999_999_999 });
    await download(to, [directory(''), at('early', -(2n ** 63n)), at('late', 2n ** 63n - 1n), leave, end], 1000);
    assert.equal(lstatSync(join(to, 'from', 'early')).mtimeMs, 0);
    assert.ok(lstatSync(join(to, 'from', 'late')).mtimeMs > 4e12);
  });

  test('records without end, and what is skipped', async (t) => {
    const { to } = victims(t);
    const many = Array.from({ length: 3000 }, (_, at) => skipped(`socket-${at}`, 1));
    const result = await download(to, [directory(''), ...many, leave, end], 10_000);
    assert.equal(result.skipped.length, 1000);
    assert.deepEqual(result.skipped[0], { path: join(to, 'from', 'socket-0'), reason: 'it is a socket' });
    const files = Array.from({ length: 100 }, () => file('f', ''));
    const guest = lyingGuest({ output: [Buffer.concat([directory(''), ...files])], status: undefined });
    await rejectsWith(downloadTree(guest, CONFIG, '/from', to, { maxBytes: 1000 }), 'copy-too-large');
    await rejectsWith(download(to, [skipped('', 2), end], 1000), 'copy-failed', /it is a device/);
  });

  test('what is skipped far below: its path is cut, and is not looked at when it is not kept', async (t) => {
    const { to } = victims(t);
    const [depth, name] = [100, Buffer.alloc(255, 0xff)];
    const shrunk = [fileBegin(name, 0), fileEnd(1)];
    const down = Array.from({ length: depth }, () => directory(name));
    const up = Array.from({ length: depth }, () => leave);
    const stream = [directory(''), ...down, skipped(name, 1), ...shrunk, ...up, leave, end];
    const { skipped: kept } = await download(to, stream, 10_000);
    const shown = textOf(name);
    assert.deepEqual(
      kept.map(({ path }) => path),
      Array(2).fill(`${to}/…/${shown}`),
    );
    const wrong = [directory(''), ...down, file('', 'x'), ...up, leave, end];
    const error = await rejectsWith(download(to, wrong, 10_000), 'tree-malformed');
    assert.ok(error.message.length < 1000);
    execFileSync('rm', ['-rf', to]);
    const tally = new Tally();
    for (let count = 0; count < 1000; count += 1) tally.skip(() => 'path', SkipReason.SOCKET);
    tally.skip(() => assert.fail('nobody sees it'), SkipReason.SOCKET);
    tally.shrank(() => assert.fail('nobody sees it'));
    assert.equal(tally.result.skipped.length, 1000);
  });

  test('many FIFOs: others have their turn between two of them', async (t) => {
    const { to } = victims(t);
    const many = Array.from({ length: 20 }, (_, at) => fifo(`${at}`));
    const seen = new Set<number>();
    const made = () => readdirSync(join(to, 'from')).filter((name) => !name.startsWith('.')).length;
    let isOver = false;
    const look = async () => {
      for (; !isOver; await setImmediate()) if (existsSync(join(to, 'from'))) seen.add(made());
    };
    const looking = look();
    await download(to, [directory(''), ...many, leave, end], 10_000);
    isOver = true;
    await looking;
    for (let count = 1; count < many.length; count += 1) assert.ok(seen.has(count), `${count}`);
  });

  test('a file of 2^50 bytes, all holes, takes no room', async (t) => {
    const { to } = victims(t);
    const outcome = await download(to, [fileBegin('', 2n ** 50n), fileEnd(), end], 1000).catch(({ code }) => code);
    if (outcome === 'file-too-large') assert.deepEqual(readdirSync(to), []);
    else assert.equal(lstatSync(join(to, 'from')).blocks, 0);
  });

  test('a guest that says nothing is left by a signal', async (t) => {
    const { to } = victims(t);
    const begin = Buffer.concat([directory(''), begun, extent(0, 'x')]);
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('enough'));
    const options = { signal: controller.signal, onProgress };
    await assert.rejects(downloadTree(lyingGuest({ output: [begin] }), CONFIG, '/from', to, options), {
      message: 'enough',
    });
    assert.deepEqual(readdirSync(join(to, 'from')), []);
    const again = new AbortController();
    const upload = uploadTree(lyingGuest({}), CONFIG, join(to, 'from'), '/to', {
      signal: again.signal,
      onProgress: () => again.abort(new Error('enough')),
    });
    await assert.rejects(upload, { message: 'enough' });
  });

  test('one that never says that its program has ended, too', async (t) => {
    const { to } = victims(t);
    const silent = (...stream: Buffer[]) =>
      lyingGuest({ output: [...stream, Buffer.alloc(0)], report: Buffer.alloc(0), status: undefined });
    for (const copy of [
      (options: CopyOptions) => downloadTree(silent(file('', 'x'), end), CONFIG, '/from', to, options),
      (options: CopyOptions) => uploadTree(silent(), CONFIG, join(to, 'from'), '/to', options),
    ]) {
      const controller = new AbortController();
      const { promise: isRead, resolve } = deferred<void>();
      const work = copy({ signal: controller.signal, onProgress: ({ bytes }) => void (bytes > 0 && resolve()) });
      const refused = assert.rejects(work, { message: 'enough' });
      await isRead;
      // All of the tree is there, and nothing more comes.
      for (let turns = 0; turns < 20; turns += 1) await setImmediate();
      controller.abort(new Error('enough'));
      await refused;
    }
    assert.equal(readdirSync(to).join(), 'from');
  });

  test('reports of what did not happen', async (t) => {
    const { to } = victims(t);
    const report = (errno: number, text: string) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(errno);
      return Buffer.concat([bytes, Buffer.from(text)]);
    };
    const lie = (bytes: Buffer) => downloadTree(lyingGuest({ report: bytes, status: 256 }), CONFIG, '/from', to);
    await rejectsWith(lie(report(constants.errno.EACCES, 'open(/from/\u001b[2J\nx)')), 'permission-denied', /\\n/);
    const long = await rejectsWith(lie(report(0xffffffff, 'y'.repeat(15_000))), 'copy-failed', /yyy/);
    assert.ok(long.message.length < 1000);
    await rejectsWith(lie(Buffer.alloc(0)), 'copy-failed');
    assert.deepEqual(readdirSync(to), []);
  });
});

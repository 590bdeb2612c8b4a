/** `unpack`: what it makes of the stream of a tree. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { Guest } from './driver.js';
import * as records from './tree-records.js';
import { allowFewFiles, feed, flags, report, timeOf, unpack } from './trees.js';

const { errno } = constants;
const { directory, end, extent, file, fileBegin, fileEnd, fifo, leave, link, parse } = records;
const LONG = 'x'.repeat(255);
const ODD = Buffer.from([0x0a, 0xff, 0xfe, 0x20, 0x5c]);

describe('unpack', () => {
  test('every kind of entry, with modes and times', async (t) => {
    const top = join(scratchDirectory(t), 'new');
    const meta = { seconds: 1_234_567_890n, nanoseconds: 987_654_321 };
    const time = 1_234_567_890_987_654_321n;
    const failure = await unpack(
      t,
      top,
      'unused',
      directory('', { ...meta, mode: 0o2711 }),
      directory('empty', { ...meta, mode: 0o500 }),
      leave,
      directory(ODD, { ...meta, mode: 0o555 }),
      file(LONG, 'long', { ...meta, mode: 0o6755 }),
      file('none', '', { ...meta, seconds: -5n }),
      leave,
      link('link', '../a b\n', meta),
      fifo('pipe', { ...meta, mode: 0o622 }),
      leave,
      end,
    );
    assert.equal(failure, undefined);
    const odd = Buffer.concat([Buffer.from(`${top}/`), ODD]);
    const inOdd = (name: string) => Buffer.concat([odd, Buffer.from(`/${name}`)]);
    assert.deepEqual(readdirSync(top, 'buffer').map(String).sort(), [String(ODD), 'empty', 'link', 'pipe'].sort());
    assert.deepEqual(
      [top, join(top, 'empty'), odd, inOdd(LONG), join(top, 'pipe')].map((path) => lstatSync(path).mode),
      // Without set-user-ID and set-group-ID.
      [0o040711, 0o040500, 0o040555, 0o100755, 0o010622],
    );
    for (const path of [top, join(top, 'empty'), odd, inOdd(LONG), join(top, 'link'), join(top, 'pipe')])
      assert.equal(timeOf(path), time, String(path));
    assert.equal(timeOf(inOdd('none')), -5_000_000_000n + 987_654_321n);
    assert.equal(readFileSync(inOdd(LONG), 'utf8'), 'long');
    assert.equal(readlinkSync(join(top, 'link')), '../a b\n');
  });

  test('into a directory, its content, and as another name', async (t) => {
    const top = scratchDirectory(t);
    const tree = [directory(''), file('a', '1'), leave, end];
    assert.equal(await unpack(t, top, 'name', ...tree), undefined);
    assert.equal(await unpack(t, top, '', ...tree), undefined);
    assert.equal(await unpack(t, `${top}/other/`, 'name', ...tree), undefined);
    symlinkSync('other', join(top, 'link'));
    assert.equal(await unpack(t, `${top}/link`, 'file', file('', '2'), end), undefined);
    assert.deepEqual(
      [`name/a`, 'a', 'other/a', 'other/file'].map((name) => readFileSync(join(top, name), 'utf8')),
      ['1', '1', '1', '2'],
    );
    assert.deepEqual(await unpack(t, `${top}/no/such`, 'name', ...tree), [errno.ENOENT, `open(${top}/no)`]);
    assert.deepEqual(await unpack(t, `${top}/no/`, 'name', file('', ''), end), [errno.ENOTDIR, `rename(${top}/no)`]);
    assert.deepEqual(await unpack(t, '', 'name', ...tree), [errno.ENOENT, 'open()']);
  });

  test('a file replaces a file, a directory is merged, and neither replaces the other', async (t) => {
    const top = scratchDirectory(t);
    mkdirSync(join(top, 'there', 'kept'), { recursive: true, mode: 0o700 });
    writeFileSync(join(top, 'there', 'file'), 'old');
    symlinkSync('kept', join(top, 'there', 'link'));
    const held = openSync(join(top, 'there', 'file'), 'r');
    t.after(() => closeSync(held));
    const into = (...entries: Buffer[]) => unpack(t, top, 'there', directory(''), ...entries, leave, end);
    assert.equal(await into(file('file', 'new'), directory('kept'), leave, file('link', 'no link')), undefined);
    assert.equal(readFileSync(join(top, 'there', 'file'), 'utf8'), 'new');
    assert.equal(readFileSync(held, 'utf8'), 'old');
    assert.equal(readFileSync(join(top, 'there', 'link'), 'utf8'), 'no link');
    assert.equal(statSync(join(top, 'there')).mode & 0o777, 0o700);
    assert.deepEqual(await into(file('kept', 'x')), [errno.EISDIR, `rename(${top}/there/kept)`]);
    assert.deepEqual(await into(directory('file'), leave), [errno.ENOTDIR, `mkdir(${top}/there/file)`]);
    symlinkSync('kept', join(top, 'there', 'way'));
    assert.deepEqual(await into(directory('way'), leave), [errno.ENOTDIR, `mkdir(${top}/there/way)`]);
  });

  test('holes', async (t) => {
    const path = join(scratchDirectory(t), 'sparse');
    const stream = [
      fileBegin('', 100 << 20),
      extent(50 << 20, Buffer.alloc(1 << 20, 'b')),
      extent((51 << 20) + 1, 'c'),
      fileEnd(1),
      end,
    ];
    assert.equal(await unpack(t, path, '', ...stream), undefined);
    const { size, blocks } = statSync(path);
    assert.equal(size, 100 << 20);
    assert.ok(blocks * 512 < 2 << 20, `${blocks} blocks`);
    const content = readFileSync(path);
    assert.ok(content.subarray(50 << 20, 51 << 20).equals(Buffer.alloc(1 << 20, 'b')));
    assert.equal(content.indexOf('c'), (51 << 20) + 1);
  });
});

describe('a tree of 1,200 levels', () => {
  test('with 40 descriptors, there and back', async (t) => {
    const top = scratchDirectory(t);
    const levels = Array.from({ length: 1200 }, (_, at) => `level-${at}`);
    const tree = [
      directory(''),
      ...levels.map((name) => directory(name)),
      file('end', 'deep'),
      ...levels.map(() => leave),
    ];
    // A file in each, on the way up.
    const stream = Buffer.concat([...tree, file('behind', 'x'), leave, end]);
    const guest = await Guest.start(t);
    allowFewFiles(guest);
    const number = await guest.spawnBeside(['unpack', top, 'deep'], { flags });
    await feed(guest, number, stream);
    assert.equal(await guest.exit(number), 0, guest.output(Proc.STDERR, number).toString());
    const packing = await guest.spawnBeside(['pack', join(top, 'deep')], { flags });
    assert.equal(await guest.exit(packing), 0, guest.output(Proc.STDERR, packing).toString());
    const there = parse(guest.output(Proc.STDOUT, packing));
    assert.deepEqual([...there.keys()].sort(), [...parse(stream).keys()].sort());
    // What has no end is refused.
    const endless = await guest.spawnBeside(['unpack', top, 'endless'], { flags });
    await feed(guest, endless, Buffer.concat([directory(''), ...Array(5000).fill(directory('d'))]));
    assert.equal((await report(guest, endless))[0], errno.ELOOP);
    // It has made one more than `pack` takes.
    const most = await guest.spawnBeside(['pack', join(top, 'endless', 'd')], { flags });
    assert.equal(await guest.exit(most), 0, guest.output(Proc.STDERR, most).toString());
    assert.equal(parse(guest.output(Proc.STDOUT, most)).size, 4096);
    const beyond = await guest.spawnBeside(['pack', join(top, 'endless')], { flags });
    assert.equal((await report(guest, beyond))[0], errno.ELOOP);
    await guest.finish();
    execFileSync('rm', ['-rf', top]);
  });
});

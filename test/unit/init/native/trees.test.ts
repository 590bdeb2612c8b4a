/** `pack` and `unpack`: trees of files as a stream, to the byte, and streams that are none. */

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
  readlinkSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Proc, SpawnFlag, STDIN_WINDOW_BYTES } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { Guest } from './driver.js';
import * as records from './tree-records.js';

const { errno } = constants;
const { RECORD, directory, end, extent, file, fileBegin, fileEnd, fifo, leave, link, parse, skipped } = records;
const flags = SpawnFlag.BUILTIN;
const LONG = 'x'.repeat(255);
const ODD = Buffer.from([0x0a, 0xff, 0xfe, 0x20, 0x5c]);

test('tree.h and docs/protocol.md have the same numbers', () => {
  const header = readFileSync('init/native/builtins/tree.h', 'utf8');
  const defines = [...header.matchAll(/^#define TREE_(\w+) (\d+)$/gm)].map(([, name = '', value]) => [name, value]);
  const page = readFileSync('docs/protocol.md', 'utf8').split('### Trees')[1] ?? '';
  for (const [name = '', value] of defines) {
    const isLimit = name.startsWith('MAX_') || name === 'MODE_BITS';
    const said = isLimit ? `${value}` : `${name.replace('REASON_', '')} ${value}`;
    assert.match(page, new RegExp(`\\b${said}\\b`), name);
  }
  for (const [name, value] of Object.entries(RECORD))
    assert.ok(header.includes(`#define TREE_${name} ${value}\n`), name);
});

async function pack(t: TestContext, path: string): Promise<Buffer> {
  const guest = await Guest.start(t);
  const number = await guest.spawnBeside(['pack', path], { flags });
  assert.equal(await guest.exit(number), 0, guest.output(Proc.STDERR, number).toString('latin1'));
  const stream = guest.output(Proc.STDOUT, number);
  await guest.finish();
  return stream;
}

/** What a failed one reports: errno, and what failed. */
async function report(guest: Guest, number: number): Promise<[errno: number, what: string]> {
  assert.equal(await guest.exit(number), 1 << 8);
  const bytes = guest.output(Proc.STDERR, number);
  return [bytes.readUInt32BE(0), bytes.subarray(4).toString()];
}

async function feed(guest: Guest, number: number, stream: Buffer): Promise<void> {
  for (let at = 0; at < stream.length; at += 100_000) {
    const piece = stream.subarray(at, at + 100_000);
    const most = at + piece.length - STDIN_WINDOW_BYTES;
    await guest.until(() => guest.acknowledgedOf(number) >= most, 'room for stdin');
    guest.stdin(piece, number);
  }
  guest.stdinEnd(number);
}

/** Unpacks, and returns the report if it failed. */
async function unpack(
  t: TestContext,
  path: string,
  name: string,
  ...stream: readonly Buffer[]
): Promise<[errno: number, what: string] | undefined> {
  const guest = await Guest.start(t);
  const number = await guest.spawnBeside(['unpack', path, name], { flags });
  await feed(guest, number, Buffer.concat(stream));
  const isWhole = (await guest.exit(number)) === 0;
  const failure = isWhole ? undefined : await report(guest, number);
  await guest.finish();
  return failure;
}

/** Gives the init's children few descriptors. */
function allowFewFiles(guest: Guest): void {
  execFileSync('prlimit', ['--pid', String(guest.process.pid), '--nofile=40:40']);
}

function timeOf(path: string | Buffer): bigint {
  return lstatSync(path, { bigint: true }).mtimeNs;
}

describe('pack', () => {
  test('one file, to the byte', async (t) => {
    const path = join(scratchDirectory(t), 'file');
    writeFileSync(path, 'content');
    chmodSync(path, 0o4751);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    const meta = { mode: 0o4751, nanoseconds: 0 };
    assert.deepEqual(await pack(t, path), Buffer.concat([file('', 'content', meta), end]));
  });

  test('one link and one directory in another, to the byte', async (t) => {
    const top = join(scratchDirectory(t), 'top');
    mkdirSync(join(top, 'in'), { recursive: true });
    symlinkSync('nowhere/ä', join(top, 'in', 'link'));
    for (const path of [join(top, 'in', 'link'), join(top, 'in'), top]) {
      execFileSync('touch', ['-h', '-d', '1930-01-01T00:00:00.123456789Z', path]);
    }
    chmodSync(top, 0o1711);
    const meta = { seconds: -1_262_304_000n, nanoseconds: 123_456_789 };
    const stream = [
      directory('', { ...meta, mode: 0o1711 }),
      directory('in', meta),
      link('link', 'nowhere/ä', meta),
      leave,
      leave,
      end,
    ];
    assert.deepEqual(await pack(t, top), Buffer.concat(stream));
    // A link that leads to a directory, with a slash behind it.
    symlinkSync('top', `${top}-link`);
    assert.deepEqual(await pack(t, `${top}-link/.`), Buffer.concat(stream));
  });

  test('every kind of entry, and names of any bytes', async (t) => {
    const top = scratchDirectory(t);
    mkdirSync(join(top, 'empty'));
    execFileSync('mkfifo', ['-m', '640', join(top, 'pipe')]);
    const server = createServer().listen(join(top, 'socket'));
    t.after(() => server.close());
    writeFileSync(join(top, LONG), 'long');
    writeFileSync(Buffer.concat([Buffer.from(`${top}/`), ODD]), 'odd');
    writeFileSync(join(top, 'none'), '');
    const many = Array.from({ length: 3000 }, (_, at) => `many-${at}`);
    for (const name of many) writeFileSync(join(top, name), name);
    const found = parse(await pack(t, top));
    const kinds = Object.fromEntries([...found].map(([name, { type }]) => [name, type]));
    assert.deepEqual(kinds, {
      '': RECORD.DIRECTORY,
      empty: RECORD.DIRECTORY,
      pipe: RECORD.FIFO,
      socket: RECORD.SKIPPED,
      [LONG]: RECORD.FILE,
      [ODD.toString('latin1')]: RECORD.FILE,
      none: RECORD.FILE,
      ...Object.fromEntries(many.map((name) => [name, RECORD.FILE])),
    });
    assert.equal(found.get('socket')?.flags, 1);
    assert.equal(found.get('pipe')?.mode, 0o640);
    for (const name of many) assert.equal(found.get(name)?.content.toString(), name);
    assert.deepEqual(parse(await pack(t, '/dev/null')).get('')?.flags, 2);
  });

  test('holes stay holes', async (t) => {
    const path = join(scratchDirectory(t), 'sparse');
    const fd = openSync(path, 'w');
    writeSync(fd, Buffer.alloc(65536, 'a'), 0, 65536, 1 << 20);
    writeSync(fd, 'end', 5 << 20);
    // Zeros in a block of their own become one.
    writeSync(fd, Buffer.alloc(65536), 0, 65536, 3 << 20);
    closeSync(fd);
    truncateSync(path, 6 << 20);
    const { content, extents } = parse(await pack(t, path)).get('') ?? assert.fail();
    assert.ok(content.equals(readFileSync(path)));
    assert.deepEqual(extents, [
      [1 << 20, 65536],
      [5 << 20, 4096],
    ]);
    // It takes no time, where the file system knows.
    truncateSync(path, 2 ** 42);
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['pack', path], { flags });
    assert.equal(await guest.exit(number), 0);
    assert.equal(guest.output(Proc.STDOUT, number).length, 24 + 2 * 13 + 65536 + 4096 + 2 + 1);
    await guest.finish();
  });

  test('a file with less than its size says, and a directory that was removed', async (t) => {
    const online = '/sys/devices/system/cpu/online';
    const { content, flags: shrank } = parse(await pack(t, online)).get('') ?? assert.fail();
    assert.ok(content.length > readFileSync(online).length);
    assert.equal(shrank, 1);
    const gone = join(scratchDirectory(t), 'gone');
    mkdirSync(gone);
    const fd = openSync(gone, 'r');
    t.after(() => closeSync(fd));
    rmdirSync(gone);
    const stream = await pack(t, `/proc/${process.pid}/fd/${fd}/.`);
    assert.deepEqual(
      [...parse(stream).values()].map(({ type }) => type),
      [RECORD.DIRECTORY],
    );
  });

  test('failures name the file', async (t) => {
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['pack', '/no/such'], { flags });
    assert.deepEqual(await report(guest, number), [errno.ENOENT, 'stat(/no/such)']);
    await guest.finish();
  });
});

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
      [0o042711, 0o040500, 0o040555, 0o106755, 0o010622],
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

describe('unpack refuses a stream that is none, and leaves nothing unfinished:', () => {
  const begun = fileBegin('f', 100);
  const STREAMS: readonly (readonly [name: string, ...stream: Buffer[]])[] = [
    ['nothing'],
    ['no end', directory(''), leave],
    ['no tree', end],
    ['an end in a directory', directory(''), end],
    ['an end in a file', directory(''), begun, end],
    ['a file that breaks off', directory(''), begun, extent(0, 'x')],
    ['an extent that breaks off', directory(''), begun, extent(0, 'x', 50)],
    ['a name that breaks off', directory('').subarray(0, 8), Buffer.alloc(0)],
    ['two trees', file('', 'x'), file('', 'y'), end],
    ['a root with a name', directory('root'), leave, end],
    ['an entry without a name', directory(''), file('', 'x'), leave, end],
    ['..', directory(''), file('..', 'x'), leave, end],
    ['.', directory(''), directory('.'), leave, leave, end],
    ['a path', directory(''), file('a/b', 'x'), leave, end],
    ['an absolute path', directory(''), link('/tmp/x', 'x'), leave, end],
    ['a NUL in a name', directory(''), file('a\0b', 'x'), leave, end],
    ['a NUL in a target', directory(''), link('a', 'x\0'), leave, end],
    ['a link to nothing', directory(''), link('a', ''), leave, end],
    ['a target that is too long', directory(''), link('a', 'x'.repeat(4096)), leave, end],
    ['a mode of a device', directory('', { mode: 0o20666 }), leave, end],
    ['a time of two seconds', directory('', { nanoseconds: 1_000_000_000 }), leave, end],
    ['a size of 2^63', directory(''), fileBegin('f', 2n ** 63n), fileEnd(), leave, end],
    ['an extent behind the size', directory(''), begun, extent(99, 'xy'), fileEnd(), leave, end],
    ['an extent far behind it', directory(''), begun, extent(2n ** 64n - 1n, 'xy'), fileEnd(), leave, end],
    ['extents out of order', directory(''), begun, extent(9, 'x'), extent(8, 'y'), fileEnd(), leave, end],
    ['an empty extent', directory(''), begun, extent(0, ''), fileEnd(), leave, end],
    ['a large extent', directory(''), fileBegin('f', 2 ** 32), extent(0, 'x', (1 << 20) + 1)],
    ['an extent without a file', directory(''), extent(0, 'x'), leave, end],
    ['an end of a file without a file', directory(''), fileEnd(), leave, end],
    ['a way out', directory(''), leave, leave, end],
    ['what is skipped', directory(''), skipped('s', 1), leave, end],
    ['an unknown record', directory(''), Buffer.of(10)],
  ];
  for (const [name, ...stream] of STREAMS) {
    test(name, async (t) => {
      const top = scratchDirectory(t);
      mkdirSync(join(top, 'to'));
      const failure = await unpack(t, join(top, 'to'), 'tree', ...stream);
      assert.equal(failure?.[0], errno.EBADMSG, failure?.[1]);
      assert.match(failure[1], /^stdin: /);
      assert.deepEqual(readdirSync(top), ['to']);
      const left = readdirSync(join(top, 'to'), { recursive: true });
      assert.deepEqual(
        left.filter((path) => path !== 'tree' && path !== 'tree/tree'),
        [],
      );
    });
  }

  test('SIGTERM removes what is unfinished', async (t) => {
    const top = scratchDirectory(t);
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['unpack', top, 'tree'], { flags });
    const begin = Buffer.concat([directory(''), fileBegin('f', 100), extent(0, 'x')]);
    guest.stdin(begin, number);
    const unfinished = () => {
      const names = readdirSync(top, { recursive: true });
      return names.filter((each) => each.includes('.virt-sandbox-'));
    };
    while (unfinished().length === 0) await guest.ok(Proc.SYNC);
    await guest.signal(constants.signals.SIGTERM, number);
    await guest.exit(number);
    assert.deepEqual(unfinished(), []);
    await guest.finish();
  });
});

/** `pack`: a tree of files as a stream, to the byte. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Proc } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { Guest } from './driver.js';
import * as records from './tree-records.js';
import { flags, pack, report } from './trees.js';

const { errno } = constants;
const { RECORD, directory, end, file, leave, link, parse } = records;
const LONG = 'x'.repeat(255);
const ODD = Buffer.from([0x0a, 0xff, 0xfe, 0x20, 0x5c]);

test('tree.h and docs/protocol.md have the same numbers', () => {
  const header = readFileSync('init/native/builtins/tree.h', 'utf8');
  const defines = [...header.matchAll(/^#define TREE_(\w+) (\d+)$/gm)].map(([, name = '', value]) => [name, value]);
  const page = readFileSync('docs/protocol.md', 'utf8').split('### Trees')[1] ?? '';
  for (const [name = '', value] of defines) {
    const isLimit = name.startsWith('MAX_') || name === 'MODE_BITS';
    const said = isLimit ? `${value}` : `${name.replace(/^(REASON|LOST)_/, '')} ${value}`;
    assert.match(page, new RegExp(`\\b${said}\\b`), name);
  }
  for (const [name, value] of Object.entries(RECORD))
    assert.ok(header.includes(`#define TREE_${name} ${value}\n`), name);
});

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

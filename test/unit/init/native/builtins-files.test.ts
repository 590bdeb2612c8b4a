/** Programs of the init for files: what they do, what they write, and how they fail. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';
import { Guest, type SpawnOptions } from './driver.js';

const { errno, signals } = constants;
const NOBODY: SpawnOptions = { uid: 65_534, gid: 65_534, groups: [], capabilities: 0n };
/** Neither UTF-8 nor a name that a shell would print. */
const ODD_NAME = Buffer.from([0x61, 0x0a, 0xff, 0x20, 0xc3]);
const TYPE_BITS = 0o170_000;
const LONG_NAME = 'n'.repeat(255);

class Programs {
  readonly directory: string;
  private constructor(
    readonly guest: Guest,
    t: TestContext,
  ) {
    this.directory = scratchDirectory(t);
  }

  static async start(t: TestContext): Promise<Programs> {
    return new Programs(await Guest.start(t), t);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** In the scratch directory. */
  begin(argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Promise<number> {
    return this.guest.spawnBeside(argv, { directory: this.directory, ...options, flags: SpawnFlag.BUILTIN });
  }

  /** A program that ends as it should. @returns its output */
  async run(argv: readonly (string | Buffer)[], { input = '', ...options }: SpawnOptions & { input?: string } = {}) {
    const number = await this.begin(argv, options);
    if (input !== '') this.guest.stdin(input, number);
    this.guest.stdinEnd(number);
    const status = await this.guest.exit(number);
    assert.deepEqual([status, this.guest.output(Proc.STDERR, number).subarray(4).toString()], [0, '']);
    return this.guest.output(Proc.STDOUT, number);
  }

  /** Has some of its input, and writes it to a file. */
  async beginWriting(name: string): Promise<number> {
    const number = await this.begin(['write', name, '420', '0']);
    // More than pipes hold, so it has read some.
    for (let sent = 1; sent <= 16; sent += 1) {
      this.guest.stdin(Buffer.alloc(1 << 17, 'half'), number);
      await this.guest.until(() => this.guest.acknowledgedOf(number) === sent << 17, 'that stdin is taken');
    }
    return number;
  }

  /** A program that fails. @returns what it reports, without the scratch directory */
  async fails(expected: number, argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Promise<string> {
    const number = await this.begin(argv, options);
    this.guest.stdin('x', number);
    this.guest.stdinEnd(number);
    assert.equal(await this.guest.exit(number), 1 << 8, argv.join(' '));
    const report = this.guest.output(Proc.STDERR, number);
    const what = report.subarray(4).toString().replaceAll(this.directory, '');
    assert.equal(report.readUInt32BE(0), expected, what);
    return what;
  }
}

function recordsIn(output: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < output.length; ) {
    const size = output.readUInt32BE(at);
    assert.ok(at + 4 + size <= output.length);
    records.push(output.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return records;
}

/** The fields of the record of a file. */
function fileIn(record: Buffer) {
  const nameEnd = 4 + record.readUInt32BE(0);
  const [mode, uid, gid] = [0, 4, 8].map((offset) => record.readUInt32BE(nameEnd + offset));
  const targetStart = nameEnd + 36;
  assert.equal(record.length, targetStart + record.readUInt32BE(nameEnd + 32));
  return {
    name: record.subarray(4, nameEnd),
    mode,
    uid,
    gid,
    size: record.readBigUInt64BE(nameEnd + 12),
    modified: record.readBigInt64BE(nameEnd + 20),
    nanoseconds: record.readUInt32BE(nameEnd + 28),
    target: record.subarray(targetStart).toString('latin1'),
  };
}

/** The change, the cookie and the name of each record. */
function changesIn(output: Buffer): [number, number, string][] {
  return recordsIn(output).map((record) => {
    assert.equal(record.length, 12 + record.readUInt32BE(8));
    return [record.readUInt32BE(0), record.readUInt32BE(4), record.subarray(12).toString('latin1')];
  });
}

describe('list and stat', () => {
  test('write a record for each entry, whatever its name', async (t) => {
    const programs = await Programs.start(t);
    const path = (name: string | Buffer) => Buffer.concat([Buffer.from(`${programs.directory}/`), Buffer.from(name)]);
    writeFileSync(path(ODD_NAME), '12345');
    writeFileSync(path(LONG_NAME), '');
    execFileSync('touch', ['-d', '@-7', programs.path(LONG_NAME)]);
    mkdirSync(path('directory'));
    symlinkSync('/nowhere/at all', path('link'));
    execFileSync('mkfifo', ['-m', '640', programs.path('fifo')]);
    const files = recordsIn(await programs.run(['list', '.'])).map(fileIn);
    const expected = [ODD_NAME, LONG_NAME, 'directory', 'link', 'fifo'].map((name) => {
      const found = lstatSync(path(name), { bigint: true });
      const { mode, uid, gid, size, mtimeNs } = found;
      return {
        name: Buffer.from(name),
        mode: Number(mode),
        uid: Number(uid),
        gid: Number(gid),
        size,
        modified: name === LONG_NAME ? -7n : mtimeNs / 1_000_000_000n,
        nanoseconds: name === LONG_NAME ? 0 : Number(mtimeNs % 1_000_000_000n),
        target: found.isSymbolicLink() ? '/nowhere/at all' : '',
      };
    });
    const byName = (a: { name: Buffer }, b: { name: Buffer }) => Buffer.compare(a.name, b.name);
    assert.deepEqual(files.sort(byName), expected.sort(byName));
    // The same bytes name it.
    assert.equal((await programs.run(['read', ODD_NAME])).toString(), '12345');
    await programs.guest.finish();
  });

  test('list has no limit of names', async (t) => {
    const programs = await Programs.start(t);
    for (let at = 0; at < 5000; at += 1) writeFileSync(programs.path(`${at}`), '');
    const names = recordsIn(await programs.run(['list', programs.directory])).map((record) =>
      String(fileIn(record).name),
    );
    assert.deepEqual(new Set(names), new Set(Array.from({ length: 5000 }, (_, at) => `${at}`)));
    assert.equal(names.length, 5000);
    await programs.guest.finish();
  });

  test('list names what its user may not look at', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o755);
    mkdirSync(programs.path('closed'));
    writeFileSync(programs.path('closed/file'), 'abc');
    chmodSync(programs.path('closed'), 0o744);
    const [file, ...others] = recordsIn(await programs.run(['list', 'closed'], NOBODY)).map(fileIn);
    assert.deepEqual([String(file?.name), file?.mode, file?.size, others], ['file', 0, 0n, []]);
    await programs.guest.finish();
  });

  test('stat is of a link, or of what it leads to', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'abc');
    symlinkSync('file', programs.path('link'));
    symlinkSync('none', programs.path('dangling'));
    const stat = async (...argv: string[]) => recordsIn(await programs.run(['stat', ...argv])).map(fileIn);
    const [link, ...none] = await stat('link', '0');
    const [file] = await stat('link', '1');
    assert.deepEqual([link?.target, link?.size, none, file?.target, file?.size], ['file', 4n, [], '', 3n]);
    assert.equal(Number(file?.mode) & TYPE_BITS, 0o100_000);
    assert.equal((await stat('dangling', '0'))[0]?.target, 'none');
    assert.equal(await programs.fails(errno.ENOENT, ['stat', 'dangling', '1']), 'stat(dangling)');
    await programs.guest.finish();
  });

  test('fail', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), '');
    assert.equal(await programs.fails(errno.ENOENT, ['list', 'none']), 'opendir(none)');
    await programs.fails(errno.ENOTDIR, ['list', 'file']);
    await programs.fails(errno.ENOTDIR, ['stat', 'file/x', '0']);
    await programs.fails(errno.ENAMETOOLONG, ['stat', `${LONG_NAME}n`, '0']);
    await programs.fails(errno.ENOENT, ['list', '']);
    for (const number of ['2', '', '-1', '+1', ' 1', '1 ', '0x1', '00000000000000000001x', '4294967297'])
      assert.equal(await programs.fails(errno.EINVAL, ['stat', '/', number]), `a number: ${number}`);
    await programs.guest.finish();
  });
});

describe('write', () => {
  test('makes a file of that mode, or replaces one and keeps its mode', async (t) => {
    const programs = await Programs.start(t);
    const mode = (name: string) => statSync(programs.path(name)).mode & 0o7777;
    await programs.run(['write', 'file', String(0o666), '0'], { input: 'one' });
    assert.deepEqual([readFileSync(programs.path('file'), 'utf8'), mode('file')], ['one', 0o666]);
    chmodSync(programs.path('file'), 0o4751);
    symlinkSync('file', programs.path('link'));
    const { ino } = statSync(programs.path('file'));
    await programs.run(['write', programs.path('link'), String(0o600), '0'], { input: 'two' });
    assert.deepEqual([readFileSync(programs.path('file'), 'utf8'), mode('file')], ['two', 0o4751]);
    assert.notEqual(statSync(programs.path('file')).ino, ino);
    assert.equal(readlinkSync(programs.path('link')), 'file');
    await programs.run(['write', 'empty', '0', '0']);
    assert.deepEqual([readFileSync(programs.path('empty'), 'utf8'), mode('empty')], ['', 0]);
    assert.deepEqual(readdirSync(programs.directory).sort(), ['empty', 'file', 'link']);
    await programs.guest.finish();
  });

  test('appends', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['write', 'log', String(0o640), '1'], { input: 'one\n' });
    await programs.run(['write', 'log', String(0o600), '1'], { input: 'two\n' });
    assert.equal(readFileSync(programs.path('log'), 'utf8'), 'one\ntwo\n');
    assert.equal(statSync(programs.path('log')).mode & 0o7777, 0o640);
    await programs.guest.finish();
  });

  test('writes to what is no file as it comes', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['write', '/dev/null', '420', '0'], { input: 'x' });
    assert.ok(statSync('/dev/null').isCharacterDevice());
    assert.equal(await programs.fails(errno.ENOSPC, ['write', '/dev/full', '420', '0']), 'write(/dev/full)');
    execFileSync('mkfifo', [programs.path('fifo')]);
    const reader = await programs.guest.spawnBeside(['cat', 'fifo'], { directory: programs.directory });
    await programs.run(['write', 'fifo', '420', '0'], { input: 'through' });
    await programs.guest.exit(reader);
    assert.equal(programs.guest.output(Proc.STDOUT, reader).toString(), 'through');
    await programs.guest.finish();
  });

  test('that is ended before its input leaves the file as it was, and nothing beside it', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'old');
    for (const name of ['file', 'new']) {
      const number = await programs.beginWriting(name);
      await programs.guest.signal(signals.SIGTERM, number);
      assert.equal(await programs.guest.exit(number), (128 + signals.SIGTERM) << 8);
    }
    assert.equal(readFileSync(programs.path('file'), 'utf8'), 'old');
    assert.deepEqual(readdirSync(programs.directory), ['file']);
    await programs.guest.finish();
  });

  test('that is killed leaves at most a temporary file', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('file'), 'old');
    const number = await programs.beginWriting('file');
    await programs.guest.signal(signals.SIGKILL, number);
    assert.equal(await programs.guest.exit(number), signals.SIGKILL);
    assert.equal(readFileSync(programs.path('file'), 'utf8'), 'old');
    const [temporary = '', ...others] = readdirSync(programs.directory).sort();
    assert.deepEqual(others, ['file']);
    assert.match(temporary, /^\.virt-sandbox-[0-9a-f]{16}$/);
    await programs.guest.finish();
  });

  test('fails', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('directory'));
    symlinkSync('none', programs.path('dangling'));
    await programs.fails(errno.EISDIR, ['write', 'directory', '420', '0']);
    await programs.fails(errno.EISDIR, ['write', 'directory', '420', '1']);
    await programs.fails(errno.ENOENT, ['write', 'none/file', '420', '0']);
    await programs.fails(errno.ENOENT, ['write', 'none/file', '420', '1']);
    assert.equal(await programs.fails(errno.ENOENT, ['write', 'dangling', '420', '0']), 'open(dangling)');
    await programs.fails(errno.ENAMETOOLONG, ['write', `${LONG_NAME}n`, '420', '0']);
    await programs.fails(errno.ENAMETOOLONG, ['write', '/x'.repeat(60_000), '420', '0']);
    for (const mode of [String(0o10000), '1a', '1/', '4294967716'])
      await programs.fails(errno.EINVAL, ['write', 'file', mode, '0']);
    await programs.fails(errno.EINVAL, ['write', 'file', '420']);
    assert.deepEqual(readdirSync(programs.directory).sort(), ['dangling', 'directory']);
    await programs.guest.finish();
  });

  test('does not replace what its user may not write to', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o777);
    writeFileSync(programs.path('private'), 'old');
    chmodSync(programs.path('private'), 0o644);
    await programs.fails(errno.EACCES, ['write', 'private', '420', '0'], NOBODY);
    writeFileSync(programs.path('public'), 'old');
    chmodSync(programs.path('public'), 0o6777);
    await programs.run(['write', 'public', '420', '0'], { ...NOBODY, input: 'new' });
    const { mode, uid } = statSync(programs.path('public'));
    // The owner is another one, for whom a program must not act as the old one.
    assert.deepEqual([mode & 0o7777, uid], [0o707, 65_534]);
    assert.equal(readFileSync(programs.path('private'), 'utf8'), 'old');
    chmodSync(programs.path('public'), 0o4751);
    await programs.run(['write', 'public', '420', '0'], { ...NOBODY, input: 'newer' });
    assert.equal(statSync(programs.path('public')).mode & 0o7777, 0o4751);
    await programs.guest.finish();
  });
});

/** Of two users that are not root. */
const ALICE = 65_530;
const PROJECT = 65_531;

describe('write to what another user has', { skip: unlessRoot('users') }, () => {
  test('keeps the group where the user is in it, else takes from the group what it might do', async (t) => {
    const programs = await Programs.start(t);
    chmodSync(programs.directory, 0o777);
    const replaced = async (mode: number, options: SpawnOptions) => {
      writeFileSync(programs.path('file'), 'old');
      chownSync(programs.path('file'), ALICE, PROJECT);
      chmodSync(programs.path('file'), mode);
      await programs.run(['write', 'file', '420', '0'], { ...NOBODY, ...options, input: 'new' });
      const status = statSync(programs.path('file'));
      return [status.uid, status.gid, status.mode & 0o7777];
    };
    assert.deepEqual(await replaced(0o2660, { groups: [PROJECT] }), [NOBODY.uid, PROJECT, 0o660]);
    assert.deepEqual(await replaced(0o666, {}), [NOBODY.uid, NOBODY.gid, 0o606]);
    await programs.guest.finish();
  });
});

describe('mkdir, rename and remove', () => {
  test('mkdir makes a directory, or missing ones above it too', async (t) => {
    const programs = await Programs.start(t);
    await programs.run(['mkdir', 'a', String(0o1777), '0']);
    assert.equal(statSync(programs.path('a')).mode & 0o7777, 0o1777);
    await programs.run(['mkdir', 'set-ids/', String(0o6710), '0']);
    assert.equal(statSync(programs.path('set-ids')).mode & 0o7777, 0o6710);
    // A group that all below it has.
    await programs.run(['mkdir', 'set-ids/below', String(0o750), '0']);
    await programs.run(['mkdir', 'set-ids/sticky', String(0o5750), '0']);
    const below = ['below', 'sticky'].map((name) => statSync(programs.path(`set-ids/${name}`)).mode & 0o7777);
    assert.deepEqual(below, [0o2750, 0o5750 | 0o2000]);
    await programs.fails(errno.EEXIST, ['mkdir', 'a', '493', '0']);
    await programs.fails(errno.ENOENT, ['mkdir', 'b/c', '493', '0']);
    await programs.run(['mkdir', `${programs.directory}//b/c/`, String(0o700), '1']);
    assert.equal(statSync(programs.path('b')).mode & 0o7777, 0o755);
    assert.equal(statSync(programs.path('b/c')).mode & 0o7777, 0o700);
    await programs.run(['mkdir', 'b/c', '493', '1']);
    writeFileSync(programs.path('file'), '');
    await programs.fails(errno.EEXIST, ['mkdir', 'file', '493', '1']);
    await programs.fails(errno.ENOTDIR, ['mkdir', 'file/x/y', '493', '1']);
    await programs.fails(errno.ENOENT, ['mkdir', '', '493', '1']);
    await programs.guest.finish();
  });

  test('rename moves a file onto another', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('from'), 'moved');
    writeFileSync(programs.path('to'), '');
    await programs.run(['rename', 'from', 'to']);
    assert.deepEqual(readdirSync(programs.directory), ['to']);
    assert.equal(readFileSync(programs.path('to'), 'utf8'), 'moved');
    assert.equal(await programs.fails(errno.ENOENT, ['rename', 'from', 'to']), 'rename(from, to)');
    mkdirSync(programs.path('directory'));
    await programs.fails(errno.EISDIR, ['rename', 'to', 'directory']);
    await programs.guest.finish();
  });

  test('remove takes one thing, or all that is below it', async (t) => {
    const programs = await Programs.start(t);
    const outside = scratchDirectory(t);
    writeFileSync(join(outside, 'kept'), '');
    writeFileSync(programs.path('file'), '');
    mkdirSync(programs.path('empty'));
    symlinkSync(outside, programs.path('link'));
    for (const name of ['file', 'empty', 'link']) await programs.run(['remove', name, '0', '0']);
    mkdirSync(programs.path('full'));
    for (let at = 0; at < 500; at += 1) writeFileSync(programs.path(`full/${at}`), '');
    mkdirSync(programs.path('full/a/b/c'), { recursive: true });
    mkdirSync(programs.path('full/d/e'), { recursive: true });
    symlinkSync(outside, programs.path('full/a/b/link'));
    symlinkSync('/nowhere', programs.path('full/a/dangling'));
    assert.equal(await programs.fails(errno.ENOTEMPTY, ['remove', 'full', '0', '0']), 'rmdir(full)');
    await programs.run(['remove', 'full', '1', '0']);
    symlinkSync(outside, programs.path('link'));
    await programs.run(['remove', 'link', '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    assert.deepEqual(readdirSync(outside), ['kept']);
    await programs.fails(errno.ENOENT, ['remove', 'file', '1', '0']);
    await programs.run(['remove', 'file', '1', '1']);
    await programs.fails(errno.ENOTDIR, ['remove', '/dev/null/x', '1', '1']);
    // A link with a slash behind it is no link, and its directory is not to be removed by that name.
    symlinkSync(outside, programs.path('link'));
    await programs.fails(errno.ENOTDIR, ['remove', 'link/', '1', '0']);
    assert.deepEqual(readdirSync(outside), ['kept']);
    await programs.guest.finish();
  });

  test('remove refuses . and .., which never become empty', async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('a/b'), { recursive: true });
    writeFileSync(programs.path('a/file'), '');
    for (const path of ['..', '.', 'a/..', 'a/.', 'a/b/../', `${programs.directory}/a/b/..`])
      await programs.fails(errno.EINVAL, ['remove', path, '1', '1']);
    assert.deepEqual(readdirSync(programs.path('a')).sort(), ['b', 'file']);
    await programs.run(['remove', 'a/b/../file', '1', '0']);
    await programs.run(['remove', `${programs.directory}//a//`, '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    await programs.fails(errno.EBUSY, ['remove', '/proc', '0', '0']);
    await programs.guest.finish();
  });

  test('remove goes down any depth with two descriptors', async (t) => {
    const programs = await Programs.start(t);
    writeFileSync(programs.path('deep'), '');
    // From the inside out, since its path is longer than a path may be.
    for (let at = 0; at < 2000; at += 1) {
      mkdirSync(programs.path('outer'));
      renameSync(programs.path('deep'), programs.path('outer/d'));
      renameSync(programs.path('outer'), programs.path('deep'));
    }
    await programs.run(['remove', 'deep', '1', '0']);
    assert.deepEqual(readdirSync(programs.directory), []);
    await programs.guest.finish();
  });

  test('remove stops where its user may not', { skip: unlessRoot('two users') }, async (t) => {
    const programs = await Programs.start(t);
    mkdirSync(programs.path('tree/closed'), { recursive: true });
    chmodSync(programs.directory, 0o777);
    chmodSync(programs.path('tree'), 0o777);
    writeFileSync(programs.path('tree/closed/file'), '');
    chmodSync(programs.path('tree/closed'), 0o755);
    const what = await programs.fails(errno.EACCES, ['remove', 'tree', '1', '0'], NOBODY);
    assert.equal(what, 'unlink(file), in remove(tree)');
    chmodSync(programs.path('tree/closed'), 0o700);
    assert.equal(
      await programs.fails(errno.EACCES, ['remove', 'tree', '1', '0'], NOBODY),
      'open(closed), in remove(tree)',
    );
    assert.ok(existsSync(programs.path('tree/closed/file')));
    await programs.guest.finish();
  });
});

describe('watch', () => {
  test('writes what changes once it says that it sees it', async (t) => {
    const programs = await Programs.start(t);
    const { guest } = programs;
    const number = await programs.begin(['watch', programs.directory]);
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
    const number = await programs.begin(['watch', '.']);
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
    assert.equal(await programs.fails(errno.ENOENT, ['watch', 'none']), 'inotify_add_watch(none)');
    await programs.guest.finish();
  });
});

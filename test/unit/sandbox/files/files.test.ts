/** Files of a sandbox: what the init is told to do, and what becomes of its answers, also of those that cannot be. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Proc } from '../../../../src/protocol/wire.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { exit, numbers, stream } from '../../protocol/guest.js';
import { fails, fileRecord, LyingGuest, type Program, writes } from './guest.js';

const { signals } = constants;
const silent: Program = () => [];

describe('what the init is told', () => {
  test('absolute paths begin at /, others at the working directory of the application', async () => {
    const guest = new LyingGuest(writes());
    await guest.files.mkdir('/a/b');
    await guest.files.mkdir('a', { parents: true, mode: 0o700 });
    await guest.files.remove('/a', { recursive: true, force: true });
    await guest.files.rename('/a', 'b');
    await guest.files.write('/a', 'text');
    await guest.files.write('/a', Buffer.from('text'), { append: true, mode: 0o600 });
    assert.deepEqual(
      guest.started.map(({ argv, cwd }) => [...argv, cwd].join(' ')),
      [
        'mkdir /a/b 493 0 /',
        'mkdir a 448 1 /work',
        'remove /a 1 1 /',
        'rename /a b /work',
        'write /a 420 0 /',
        'write /a 384 1 /',
      ],
    );
    // A name of digits is a name.
    await guest.files.mkdir('2024');
    assert.equal(guest.started.at(-1)?.cwd, '/work');
  });

  test('many calls at once take turns, also when some are aborted', async () => {
    const guest = new LyingGuest(silent);
    const abort = new AbortController();
    const killed = new Set<number>();
    // It may be killed twice.
    guest.onSignal = (process, signal) => {
      if (killed.has(process)) return [];
      killed.add(process);
      return [exit(process, signal)];
    };
    const calls = Array.from({ length: 100 }, (_, at) =>
      guest.files.remove(`/${at}`, at % 2 === 0 ? {} : { signal: abort.signal }).catch(() => 'aborted'),
    );
    // No other can be the first of them that waits.
    while (guest.started.length < 32) await nextTurn();
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    assert.equal(guest.started.length, 32);
    abort.abort(new Error('enough'));
    for (let at = 1; at <= 50 + 16; at += 1) {
      while (guest.started.length < at) await nextTurn();
      // The aborted ones were killed.
      if (at > 32 || at % 2 === 1) guest.say(exit(at));
    }
    assert.equal((await Promise.all(calls)).filter((said) => said === 'aborted').length, 50);
    assert.equal(guest.started.length, 50 + 16);
    await assert.rejects(guest.files.stat('/x', { signal: abort.signal }), { message: 'enough' });
  });

  test('values of the wrong type are refused', async () => {
    const { files } = new LyingGuest(writes());
    const any = (value: unknown) => value as never;
    for (const [call, pattern] of [
      [() => files.read(''), /the path is ""; let it be a path of 1 to 4095 bytes/],
      [() => files.read('/a\0b'), /without a NUL byte/],
      [() => files.list(any(1)), /the path is 1/],
      [() => files.list('é'.repeat(2048)), /the path is/],
      [() => files.read('/a', any({ encoding: 'latin1' })), /"encoding" .* let it be "utf8"/],
      [() => files.read('/a', { maxBytes: -1 }), /"maxBytes"/],
      [() => files.write('/a', any(1)), /what is written is 1; let it be a string, bytes/],
      [() => files.write('/a', any({})), /what is written/],
      [() => files.write('/a', 'x', { mode: 0o10000 }), /"mode" .* let it be permissions/],
      [() => files.mkdir('/a', any({ parents: 1 })), /"parents"/],
      [() => files.rename('/a', any(undefined)), /the path is missing/],
      [() => files.readStream(any(7)).toArray(), /the path is 7/],
      [() => files.watch('/a', any({ signal: 1 })), /"signal"/],
    ] as const) {
      await rejectsWith(call(), 'config-value-invalid', pattern);
    }
    await rejectsWith(files.stat('/a', any({ follow: true })), 'config-key-unknown', /there are .*followLinks/);
  });
});

describe('what the init answers', () => {
  test('entries are sorted, and names that are not UTF-8 keep their bytes', async () => {
    const raw = Buffer.from([0x61, 0xff]);
    const names = ['b', raw, 'a\n', '…'.repeat(85)];
    const records = names.map((name) => fileRecord(name));
    const whole = Buffer.concat([
      ...records,
      fileRecord('link', { mode: 0o120_777, target: 'to', size: 2n, seconds: -1n, nanoseconds: 5e8 }),
    ]);
    // In pieces of a byte.
    const guest = new LyingGuest(writes(...Array.from(whole, (byte) => Buffer.of(byte))));
    const entries = await guest.files.list('/');
    assert.deepEqual(
      entries.map(({ name }) => name),
      ['a\n', 'a\udcff', 'b', 'link', '…'.repeat(85)],
    );
    assert.deepEqual(entries[3], {
      name: 'link',
      type: 'link',
      size: 2,
      mode: 0o777,
      modified: new Date(-500),
      uid: 1,
      gid: 2,
      target: 'to',
    });
  });

  test('stat knows every type', async () => {
    for (const [bits, type] of [
      [0o01, 'fifo'],
      [0o02, 'character-device'],
      [0o04, 'directory'],
      [0o06, 'block-device'],
      [0o10, 'file'],
      [0o12, 'link'],
      [0o14, 'socket'],
      [0o00, 'unknown'],
      [0o17, 'unknown'],
    ] as const) {
      const guest = new LyingGuest(writes(fileRecord('', { mode: (bits << 12) | 0o4755 })));
      const { type: found, mode } = await guest.files.stat('/x');
      assert.deepEqual([found, mode], [type, 0o4755]);
    }
  });

  test('a time that no Date has is the nearest one', async () => {
    for (const [seconds, expected] of [
      [2n ** 63n - 1n, 8.64e15],
      [-(2n ** 63n), -8.64e15],
    ] as const) {
      const guest = new LyingGuest(writes(fileRecord('', { seconds, nanoseconds: 0xffff_ffff })));
      assert.equal((await guest.files.stat('/x')).modified.getTime(), expected);
    }
  });

  for (const [what, bytes, pattern] of [
    ['a name with a slash', fileRecord('../etc'), /name "\.\.\/etc"/],
    ['a name with a NUL byte', fileRecord('a\0'), /an entry with the name/],
    ['an empty name', fileRecord(''), /an entry without a name/],
    ['the name ..', fileRecord('..'), /an entry with the name "\.\."/],
    ['a name of 256 bytes', fileRecord('n'.repeat(256)), /an entry with the name/],
    ['a raw name with a slash', fileRecord(Buffer.from([0xff, 0x2f])), /an entry with the name/],
    ['a link to 5000 bytes', fileRecord('a', { mode: 0o120_777, target: 'x'.repeat(5000) }), /no path/],
    ['half a record', fileRecord('a').subarray(0, -1), /end in the middle/],
    ['a record of 4 GiB', numbers(0xffff_ffff), /a record of 4294967295 bytes/],
    ['an empty record', numbers(0), /ends in the middle of a field/],
    [
      'a record with a byte too many',
      Buffer.concat([numbers(42), fileRecord('a').subarray(4), Buffer.of(0)]),
      /1 bytes? too/,
    ],
  ] as const) {
    test(`${what} is no answer`, async () => {
      const guest = new LyingGuest(writes(bytes));
      const { message } = await rejectsWith(guest.files.list('/x'), 'file-failed', /stop the sandbox/);
      assert.match(message, /^cannot list \/x: the sandbox answered with /);
      assert.match(message, pattern);
    });
  }

  test('one file has one record', async () => {
    const two = new LyingGuest(writes(fileRecord(''), fileRecord('')));
    await rejectsWith(two.files.stat('/x'), 'file-failed', /2 records for one file/);
    await rejectsWith(new LyingGuest(writes()).files.stat('/x'), 'file-failed', /0 records for one file/);
  });

  test('a directory without an end is given up, and its program killed', async () => {
    // Two of them are acknowledged at once.
    const piece = Buffer.concat(Array.from({ length: 1000 }, () => fileRecord('n'.repeat(200))));
    const guest = new LyingGuest((process) => Array(4).fill(stream(Proc.STDOUT, process, piece)));
    guest.onTaken = (process) => guest.say(stream(Proc.STDOUT, process, piece), stream(Proc.STDOUT, process, piece));
    await rejectsWith(guest.files.list('/x'), 'file-too-large', /more than 67108864 bytes/);
    await nextTurn();
    assert.deepEqual(guest.signals, [signals.SIGKILL]);
  });

  test('a directory of more entries than are kept is given up', async () => {
    const record = fileRecord('n');
    const most = Math.floor(244_000 / record.length);
    const piece = Buffer.concat(Array.from({ length: most }, () => record));
    const guest = new LyingGuest((process) => Array(4).fill(stream(Proc.STDOUT, process, piece)));
    guest.onTaken = (process) => guest.say(...Array(2).fill(stream(Proc.STDOUT, process, piece)));
    await rejectsWith(guest.files.list('/x'), 'file-too-large', /more than 500000 entries/);
  });

  test('a program that has no output is given up when it writes', async () => {
    await rejectsWith(new LyingGuest(writes(Buffer.from('x'))).files.mkdir('/x'), 'file-failed', /stop the sandbox/);
  });

  test('what a system call says has a code', async () => {
    for (const [errno, code, pattern] of [
      ['ENOENT', 'file-not-found', /no such file or directory \(open\(\/x\)\); see that the path exists/],
      ['EEXIST', 'file-exists', /file already exists/],
      ['EACCES', 'permission-denied', /option user/],
      ['EPERM', 'permission-denied', /operation not permitted/],
      ['EROFS', 'permission-denied', /read-only file system .* \/tmp/],
      ['ENOTDIR', 'not-a-directory', /not a directory/],
      ['EISDIR', 'is-a-directory', /name a file/],
      ['ENOTEMPTY', 'directory-not-empty', /recursive: true/],
      ['ENOSPC', 'no-space', /make room/],
      ['EDQUOT', 'no-space', /make room/],
      ['EFBIG', 'file-too-large', /no larger file/],
      ['EBUSY', 'file-failed', /it is a mount/],
      ['EIO', 'file-failed', /i\/o error/],
      [4_000_000_000, 'file-failed', /error 4000000000/],
    ] as const) {
      const guest = new LyingGuest(fails(errno, 'open(/x)'));
      await rejectsWith(guest.files.read('/x'), code, /^application: cannot read \/x: /, pattern);
    }
    assert.equal(await new LyingGuest(fails('ENOENT', '')).files.exists('/x'), false);
    assert.equal(await new LyingGuest(fails('ENOTDIR', '')).files.exists('/x'), false);
    await rejectsWith(new LyingGuest(fails('EACCES', '')).files.exists('/x'), 'permission-denied');
    const long = await rejectsWith(new LyingGuest(fails('EIO', 'é\n'.repeat(7000))).files.read('/x'), 'file-failed');
    assert.ok(long.message.length < 600);
    const killed = new LyingGuest((process) => [exit(process, signals.SIGKILL)]);
    await rejectsWith(killed.files.read('/x'), 'file-failed', /it ended with status 137/);
  });
});

import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { constants, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CallFlag,
  HANDSHAKE_SYNC,
  HANDSHAKE_WAIT,
  MAX_PACKET_BYTES,
  MessageType,
  Proc,
  SpawnFlag,
  STDIN_WINDOW_BYTES,
  Status,
  WriteFlag,
} from '../../src/guest/wire.js';
import { buildInit, Guest, list, packet, spawnPayload, str, u32, u64 } from './native-init-driver.js';

const { errno, signals } = constants;
const IS_ROOT = process.getuid?.() === 0;
const PTY = { flags: SpawnFlag.PTY, rows: 24, columns: 80 };

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'native-init-files-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Whether a process is there and not only waits to be reaped. */
async function lives(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return text !== '' && !/^\d+ \(.*\) Z/s.test(text);
}

async function gone(pid: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (!(await lives(pid))) return;
    await sleep(20);
  }
  assert.fail(`process ${pid} still lives`);
}

function writeFilePayload(path: string, data: string, flags = 0, mode = 0o644): Buffer {
  return Buffer.concat([str(path), u32(mode), u32(flags), str(data)]);
}

function runPayload(
  argv: string[],
  options: { stdin?: Buffer; timeout?: number; environment?: string[] } = {},
): Buffer {
  return Buffer.concat([
    list(argv),
    list(options.environment ?? ['PATH=/usr/bin:/bin']),
    str(options.stdin ?? ''),
    u32(options.timeout ?? 10_000),
  ]);
}

function decodeRun(result: Buffer): { status: number; output: string } {
  assert.equal(result.readUInt32BE(4), result.length - 8);
  return { status: result.readInt32BE(0), output: result.toString('latin1', 8) };
}

before(buildInit);

describe('handshake', () => {
  test('noise before it is ignored, and WAIT is answered once', async (t) => {
    const guest = await Guest.start(t, { handshake: false });
    guest.socket.write(Buffer.of(0, 0xff, HANDSHAKE_SYNC, 0x41));
    await sleep(100);
    assert.equal(guest.rawBytes, 0);
    guest.socket.write(Buffer.of(HANDSHAKE_WAIT, HANDSHAKE_WAIT));
    assert.deepEqual(await guest.raw(1), Buffer.of(HANDSHAKE_SYNC));
    guest.socket.write(Buffer.of(HANDSHAKE_WAIT));
    await sleep(100);
    assert.equal(guest.rawBytes, 0);
    guest.socket.write(Buffer.of(HANDSHAKE_WAIT, HANDSHAKE_SYNC));
    guest.startPackets();
    await guest.packet((each) => each.proc === Proc.READY);
    await guest.finish();
  });

  test('READY is first, and says what runs', async (t) => {
    const guest = await Guest.start(t);
    const [ready] = guest.packets;
    assert.ok(ready);
    assert.deepEqual([ready.proc, ready.type, ready.status, ready.serial], [Proc.READY, MessageType.MESSAGE, 0, 0]);
    const expected = Buffer.concat([u32(1), str(release())]);
    assert.deepEqual(ready.payload.subarray(0, expected.length), expected);
    const [started, became] = [0, 8].map((at) => ready.payload.readBigUInt64BE(expected.length + at));
    assert.ok(started !== undefined && became !== undefined && started > 0n && started <= became);
    assert.deepEqual(ready.payload.subarray(expected.length + 16), u32(0));
    await guest.finish();
  });

  test('packets may come in the same bytes as its end', async (t) => {
    const guest = await Guest.start(t, { handshake: false });
    const call = packet(Proc.SYNC, MessageType.CALL, 0, 77, Buffer.alloc(0));
    guest.socket.write(Buffer.concat([Buffer.of(HANDSHAKE_WAIT, HANDSHAKE_WAIT, HANDSHAKE_SYNC), call, call]));
    await guest.raw(1);
    guest.startPackets();
    await guest.until(() => guest.packets.length >= 3, 'READY and two replies');
    assert.deepEqual(
      guest.packets.map((each) => [each.proc, each.serial]),
      [
        [Proc.READY, 0],
        [Proc.SYNC, 77],
        [Proc.SYNC, 77],
      ],
    );
    await guest.finish();
  });

  test('a host that never says anything is not waited for for ever', async (t) => {
    const guest = await Guest.start(t, { handshake: false, arguments: ['--handshake-ms', '300'] });
    await guest.ended();
    assert.match(guest.said, /^init: no host has connected in time$/m);
  });

  test('a host that has gone before it does not end the wait, and takes no processor time', async (t) => {
    const guest = await Guest.start(t, { handshake: false, arguments: ['--handshake-ms', '1200'] });
    guest.socket.end();
    await sleep(900);
    const fields = (await readFile(`/proc/${guest.process.pid}/stat`, 'latin1')).split(') ')[1]?.split(' ');
    assert.ok(Number(fields?.[11]) + Number(fields?.[12]) < 50, 'less than half a second of processor time');
    await guest.ended();
  });

  test('an unknown argument is reported and ignored', async (t) => {
    const guest = await Guest.start(t, { arguments: ['--surprise', 'quiet'] });
    await guest.finish();
    assert.match(guest.said, /^init: argument --surprise is not known; ignored$/m);
    assert.match(guest.said, /^init: argument quiet is not known; ignored$/m);
  });
});

describe('framing', () => {
  const header = (...fields: number[]): Buffer => Buffer.concat(fields.map(u32));
  const faults: [string, Buffer, RegExp][] = [
    ['length 0', header(0, 35, 2, 0, 1), /shorter than its header/],
    ['length 19', header(19, 35, 2, 0, 1), /shorter than its header/],
    ['length 262145', header(MAX_PACKET_BYTES + 1, 35, 2, 0, 1), /longer than the limit/],
    ['length 4294967295', header(0xffff_ffff, 35, 2, 0, 1), /longer than the limit/],
    ['type 4', header(20, 35, 4, 0, 1), /unknown type/],
    ['type 4294967295', header(20, 35, 0xffff_ffff, 0, 1), /unknown type/],
  ];
  for (const [name, bytes, reason] of faults) {
    test(`${name} ends the connection`, async (t) => {
      const guest = await Guest.start(t);
      const pid = await guest.spawn(['sleep', '1000']);
      guest.socket.write(Buffer.concat([bytes, packet(Proc.SYNC, MessageType.CALL, 0, 9, Buffer.alloc(0))]));
      await guest.ended();
      assert.match(guest.said, reason);
      assert.ok(!guest.packets.some((each) => each.proc === Proc.SYNC), 'nothing behind the fault is carried out');
      await gone(pid);
    });
  }

  test('a packet cut off by the end of the connection is not carried out', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = join(directory, 'file');
    const whole = packet(Proc.WRITE_FILE, MessageType.CALL, 0, 1, writeFilePayload(path, 'data'));
    guest.socket.end(whole.subarray(0, whole.length - 1));
    await guest.ended();
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  test('packets may come byte by byte', async (t) => {
    const guest = await Guest.start(t);
    const bytes = packet(Proc.STAT, MessageType.CALL, 0, 5, Buffer.concat([str('/'), u32(1)]));
    for (const byte of bytes) {
      guest.socket.write(Buffer.of(byte));
      await sleep(1);
    }
    assert.equal((await guest.reply(5)).status, Status.OK);
    await guest.finish();
  });

  test('a packet of the largest size is taken', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = join(directory, 'file');
    const overhead = 20 + writeFilePayload(path, '').length;
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'x'.repeat(MAX_PACKET_BYTES - overhead)));
    assert.equal((await stat(path)).size, MAX_PACKET_BYTES - overhead);
    await guest.finish();
  });

  test('packets that mean nothing to it are ignored', async (t) => {
    const guest = await Guest.start(t);
    for (const [proc, type] of [
      [Proc.EXIT, MessageType.MESSAGE],
      [999, MessageType.MESSAGE],
      [Proc.STDOUT, MessageType.DATA],
      [Proc.STAT, MessageType.REPLY],
    ] as const) {
      guest.socket.write(packet(proc, type, 0, 3, Buffer.from('whatever')));
    }
    await guest.ok(Proc.SYNC);
    assert.equal(guest.packets.length, 2);
    await guest.finish();
  });
});

describe('arguments of operations', () => {
  const path = str('/tmp');
  const bad: [string, number, Buffer][] = [
    ['nothing at all', Proc.STAT, Buffer.alloc(0)],
    ['a field missing', Proc.STAT, path],
    ['bytes left over', Proc.STAT, Buffer.concat([path, u32(0), Buffer.of(0)])],
    ['a field cut short', Proc.STAT, Buffer.concat([path, Buffer.of(0, 0, 0)])],
    ['a string longer than the packet', Proc.STAT, Buffer.concat([u32(100), Buffer.from('/tmp'), u32(0)])],
    ['a string of 4 GiB', Proc.STAT, Buffer.concat([u32(0xffff_ffff), Buffer.from('/tmp'), u32(0)])],
    ['a NUL in a string', Proc.STAT, Buffer.concat([str('/tmp\0/x'), u32(0)])],
    ['an operation without arguments that gets some', Proc.SYNC, u32(0)],
    ['a list longer than the packet', Proc.RUN, Buffer.concat([u32(0x4000_0000), list([]), str(''), u32(1000)])],
    ['a list of groups longer than the packet', Proc.SPAWN, spawnPayload(['x']).subarray(0, 60)],
    ['a mount without options', Proc.MOUNT, Buffer.concat([path, path, str('tmpfs'), u32(0)])],
    ['a clock of four bytes', Proc.SET_CLOCK, u32(1)],
    ['a SIGNAL without number', Proc.SIGNAL, Buffer.alloc(0)],
  ];
  test('whatever is malformed is answered with EPROTO', async (t) => {
    const guest = await Guest.start(t);
    for (const [name, proc, payload] of bad) {
      const detail = await guest.fails(errno.EPROTO, proc, payload, CallFlag.TOLERATE);
      assert.match(detail, /arguments: Protocol error$/, name);
    }
    await guest.fails(errno.EPROTO, Proc.SYNC, Buffer.alloc(0), 4 | CallFlag.TOLERATE);
    await guest.finish();
  });

  test('an operation that is not known is answered with ENOSYS', async (t) => {
    const guest = await Guest.start(t);
    for (const proc of [0, Proc.READY, 31, 1000, 0xffff_ffff]) {
      const detail = await guest.fails(errno.ENOSYS, proc, Buffer.from('anything'), CallFlag.TOLERATE);
      assert.match(detail, new RegExp(`operation ${proc}: `));
    }
    await guest.finish();
  });

  test('a path may have 4095 bytes and no more', async (t) => {
    const guest = await Guest.start(t);
    const long = (size: number) => Buffer.concat([str(`/${'./'.repeat(2047)}`.padEnd(size, '/')), u32(0)]);
    await guest.ok(Proc.STAT, long(4095));
    await guest.fails(errno.ENAMETOOLONG, Proc.STAT, long(4096));
    await guest.finish();
  });

  test('what would change the machine is refused by this build', async (t) => {
    const guest = await Guest.start(t);
    const tolerate = (proc: number, ...fields: Buffer[]) =>
      guest.fails(errno.EPERM, proc, Buffer.concat(fields), CallFlag.TOLERATE);
    await tolerate(Proc.MOUNT, str('a'), str('/b'), str('tmpfs'), u32(0), str(''));
    await tolerate(Proc.UNMOUNT, path, u32(0));
    await tolerate(Proc.SWITCH_ROOT, path);
    await tolerate(Proc.LINK_UP, str('lo'));
    await tolerate(Proc.ADDRESS, str('lo'), str('127.0.0.1'), u32(8), str(''));
    await tolerate(Proc.ROUTE, str('lo'), str('0.0.0.0'), u32(0), str(''));
    await tolerate(Proc.HOSTNAME, str('name'));
    await tolerate(Proc.SET_CLOCK, u64(1n), u32(0));
    await tolerate(Proc.ADD_ENTROPY, str('seed'));
    await tolerate(Proc.LOAD_MODULE, str('/x.ko'), str(''));
    await guest.finish();
  });
});

describe('order', () => {
  const missing = Buffer.concat([str('/no/such/file'), u32(0)]);
  const root = Buffer.concat([str('/'), u32(0)]);

  test('behind a failed call the rest is skipped, but for those that never are', async (t) => {
    const guest = await Guest.start(t);
    const first = guest.send(Proc.STAT, missing);
    const second = guest.send(Proc.STAT, root);
    const unknown = guest.send(999);
    const tolerant = guest.send(Proc.STAT, root, CallFlag.TOLERATE);
    const synced = guest.send(Proc.SYNC);
    const signalled = guest.send(Proc.SIGNAL, u32(15));
    const resized = guest.send(Proc.RESIZE, Buffer.concat([u32(1), u32(1)]));
    const third = guest.send(Proc.STAT, root);
    const recovering = guest.send(Proc.STAT, root, CallFlag.RECOVER);
    const fourth = guest.send(Proc.STAT, root);
    const replies = await Promise.all(
      [first, second, unknown, tolerant, synced, signalled, resized, third, recovering, fourth].map((serial) =>
        guest.reply(serial),
      ),
    );
    assert.deepEqual(
      replies.map((each) => each.status),
      [
        Status.ERROR,
        Status.SKIPPED,
        Status.SKIPPED,
        Status.SKIPPED,
        Status.OK,
        Status.ERROR,
        Status.ERROR,
        Status.SKIPPED,
        Status.OK,
        Status.OK,
      ],
    );
    assert.equal(replies[0]?.detail, 'stat(/no/such/file): No such file or directory');
    assert.equal(replies[5]?.errno, errno.ESRCH);
    assert.equal(replies[6]?.errno, errno.ENOTTY);
    const skipped = await guest.packet((each) => each.serial === second);
    assert.deepEqual(skipped.payload, u32(0));
    await guest.finish();
  });

  test('a tolerated failure does not hold up the rest, and RECOVER does not make a failure tolerated', async (t) => {
    const guest = await Guest.start(t);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.TOLERATE);
    await guest.ok(Proc.STAT, root);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.RECOVER);
    assert.equal((await guest.call(Proc.STAT, root)).status, Status.SKIPPED);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.RECOVER | CallFlag.TOLERATE);
    await guest.ok(Proc.STAT, root);
    await guest.finish();
  });

  test('calls behind one that takes long wait, and are answered in order, however many', async (t) => {
    const guest = await Guest.start(t);
    const long = guest.send(Proc.RUN, runPayload(['sleep', '0.3']));
    const padding = 'x'.repeat(4000);
    const count = 500; // two million bytes, more than may wait inside
    const serials = Array.from({ length: count }, () =>
      guest.send(Proc.STAT, Buffer.concat([str(`/${padding}`), u32(0)]), CallFlag.TOLERATE),
    );
    await guest.reply(serials[count - 1] ?? 0);
    const order = guest.packets.filter((each) => each.type === MessageType.REPLY).map((each) => each.serial);
    assert.deepEqual(order, [long, ...serials]);
    await guest.finish();
  });

  test('a host that does not read its replies gets every one of them later', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'file'), Buffer.alloc(131_072, 7));
    const guest = await Guest.start(t);
    guest.socket.pause();
    const serials = Array.from({ length: 40 }, () =>
      guest.send(Proc.READ_FILE, Buffer.concat([str(join(directory, 'file')), u32(131_072)])),
    );
    await sleep(300);
    guest.socket.resume();
    for (const serial of serials) assert.equal((await guest.reply(serial)).result.length, 4 + 131_072);
    await guest.finish();
  });
});

describe('files', () => {
  test('MKDIR makes parents, and leaves what is there alone', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const make = (path: string, mode: number) => Buffer.concat([str(path), u32(mode)]);
    await guest.ok(Proc.MKDIR, make(`${directory}/a/b//c/`, 0o1777));
    assert.equal((await stat(`${directory}/a`)).mode & 0o7777, 0o755);
    assert.equal((await stat(`${directory}/a/b/c`)).mode & 0o7777, 0o1777);
    await guest.ok(Proc.MKDIR, make(`${directory}/a/b/c`, 0o700));
    assert.equal((await stat(`${directory}/a/b/c`)).mode & 0o7777, 0o1777);
    await guest.ok(Proc.MKDIR, make('/', 0o700));
    await writeFile(`${directory}/file`, '');
    const detail = await guest.fails(errno.ENOTDIR, Proc.MKDIR, make(`${directory}/file`, 0o755), CallFlag.TOLERATE);
    assert.equal(detail, `mkdir(${directory}/file, 0755): Not a directory`);
    await guest.fails(errno.ENOTDIR, Proc.MKDIR, make(`${directory}/file/x`, 0o755), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.MKDIR, make('', 0o755));
    await guest.finish();
  });

  test('SYMLINK takes a link that is there already only when it is the same', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const link = (target: string) => Buffer.concat([str(target), str(`${directory}/link`)]);
    await guest.ok(Proc.SYMLINK, link('/proc/self/fd'));
    await guest.ok(Proc.SYMLINK, link('/proc/self/fd'));
    assert.equal(await readlink(`${directory}/link`), '/proc/self/fd');
    await guest.fails(errno.EEXIST, Proc.SYMLINK, link('/proc/self/f'), CallFlag.TOLERATE);
    await guest.fails(errno.EEXIST, Proc.SYMLINK, link('/proc/self/fds'));
    await guest.finish();
  });

  test('WRITE_FILE replaces, appends, makes parents and refuses to replace', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = `${directory}/x/y/file`;
    await guest.fails(errno.ENOENT, Proc.WRITE_FILE, writeFilePayload(path, 'a'), CallFlag.TOLERATE);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'first', WriteFlag.PARENTS, 0o606));
    assert.equal((await stat(path)).mode & 0o7777, 0o606);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'one\0', 0, 0o777));
    assert.equal((await stat(path)).mode & 0o7777, 0o606);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, 'two', WriteFlag.APPEND));
    assert.equal(await readFile(path, 'latin1'), 'one\0two');
    const again = writeFilePayload(path, 'three', WriteFlag.EXCLUSIVE);
    await guest.fails(errno.EEXIST, Proc.WRITE_FILE, again, CallFlag.TOLERATE);
    assert.equal(await readFile(path, 'latin1'), 'one\0two');
    await guest.fails(errno.EINVAL, Proc.WRITE_FILE, writeFilePayload(path, '', 8), CallFlag.TOLERATE);
    await guest.ok(Proc.WRITE_FILE, writeFilePayload(path, ''));
    assert.equal((await stat(path)).size, 0);
    await guest.finish();
  });

  test('READ_FILE gives a file up to its limit', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = `${directory}/file`;
    const read = (limit: number) => Buffer.concat([str(path), u32(limit)]);
    const content = Buffer.from(Array.from({ length: 131_072 }, (_, i) => (i * 7) & 0xff));
    await writeFile(path, content);
    assert.deepEqual(await guest.ok(Proc.READ_FILE, read(131_072)), Buffer.concat([u32(131_072), content]));
    await guest.fails(errno.EFBIG, Proc.READ_FILE, read(131_071), CallFlag.TOLERATE);
    await writeFile(path, Buffer.concat([content, Buffer.of(0)]));
    await guest.fails(errno.EFBIG, Proc.READ_FILE, read(131_072), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.READ_FILE, read(0), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.READ_FILE, read(131_073), CallFlag.TOLERATE);
    await writeFile(path, '');
    assert.deepEqual(await guest.ok(Proc.READ_FILE, read(1)), u32(0));
    await guest.fails(errno.EISDIR, Proc.READ_FILE, Buffer.concat([str('/'), u32(1)]));
    await guest.finish();
  });

  test('READ_LINK gives what a link leads to, and EINVAL for what is none', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    await symlink('../some where', join(directory, 'link'));
    await writeFile(join(directory, 'file'), '');
    assert.deepEqual(await guest.ok(Proc.READ_LINK, str(join(directory, 'link'))), str('../some where'));
    await guest.fails(errno.EINVAL, Proc.READ_LINK, str(join(directory, 'file')), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.READ_LINK, str(join(directory, 'none')));
    await guest.finish();
  });

  test('LIST_DIR sorts by byte, and gives 4096 names and no more', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const names = ['b', 'Z', '.hidden', 'a', 'ä', 'aa'];
    for (const name of names) await writeFile(join(directory, name), '');
    const sorted = ['.hidden', 'Z', 'a', 'aa', 'b', 'ä'];
    assert.deepEqual(await guest.ok(Proc.LIST_DIR, str(directory)), list(sorted));
    for (let i = names.length; i < 4096; i++) await writeFile(join(directory, `n${i}`), '');
    assert.equal((await guest.ok(Proc.LIST_DIR, str(directory))).readUInt32BE(0), 4096);
    await writeFile(join(directory, 'one-more'), '');
    await guest.fails(errno.E2BIG, Proc.LIST_DIR, str(directory), CallFlag.TOLERATE);
    await guest.fails(errno.ENOTDIR, Proc.LIST_DIR, str(join(directory, 'a')));
    await guest.finish();
  });

  test('LIST_DIR gives E2BIG where the names do not fit in a packet', async (t) => {
    const directory = await scratch(t);
    for (let i = 0; i < 1100; i++) await writeFile(join(directory, `${i}`.padEnd(250, 'x')), '');
    const guest = await Guest.start(t);
    await guest.fails(errno.E2BIG, Proc.LIST_DIR, str(directory));
    await guest.finish();
  });

  test('MKNOD', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const node = (path: string, mode: number) => Buffer.concat([str(path), u32(mode), u32(1), u32(3)]);
    const pipe = join(directory, 'pipe');
    await guest.ok(Proc.MKNOD, node(pipe, 0o010640));
    const made = await stat(pipe);
    assert.ok(made.isFIFO());
    assert.equal(made.mode & 0o7777, 0o640);
    const detail = await guest.fails(errno.EEXIST, Proc.MKNOD, node(pipe, 0o010640), CallFlag.TOLERATE);
    assert.equal(detail, `mknod(${pipe}, 010640, 1:3): File exists`);
    await guest.fails(errno.ENOENT, Proc.MKNOD, node(join(directory, 'a/b'), 0o010640));
    await guest.finish();
  });

  test('STAT, CHMOD and CHOWN', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const path = join(directory, 'file');
    await writeFile(path, '12345');
    await symlink(path, join(directory, 'link'));
    const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    await guest.ok(Proc.CHMOD, Buffer.concat([str(path), u32(0o4751)]));
    await guest.ok(Proc.CHOWN, Buffer.concat([str(join(directory, 'link')), u32(uid), u32(gid)]));
    const expected = Buffer.concat([u32(0o104751), u32(uid), u32(gid), u64(5n), u32(0), u32(0)]);
    assert.deepEqual(await guest.ok(Proc.STAT, Buffer.concat([str(path), u32(0)])), expected);
    assert.deepEqual(await guest.ok(Proc.STAT, Buffer.concat([str(join(directory, 'link')), u32(1)])), expected);
    const link = await guest.ok(Proc.STAT, Buffer.concat([str(join(directory, 'link')), u32(0)]));
    assert.equal(link.readUInt32BE(0) & 0o170000, 0o120000);
    const device = await guest.ok(Proc.STAT, Buffer.concat([str('/dev/null'), u32(1)]));
    assert.deepEqual([device.readUInt32BE(20), device.readUInt32BE(24)], [1, 3]);
    await guest.fails(errno.EINVAL, Proc.STAT, Buffer.concat([str(path), u32(2)]), CallFlag.TOLERATE);
    await guest.fails(errno.ENOENT, Proc.CHMOD, Buffer.concat([str(`${path}x`), u32(0)]), CallFlag.TOLERATE);
    const detail = await guest.fails(errno.ENOENT, Proc.CHOWN, Buffer.concat([str(`${path}x`), u32(1), u32(2)]));
    assert.equal(detail, `lchown(${path}x, 1, 2): No such file or directory`);
    await guest.finish();
  });
});

describe('the application', () => {
  test('gets its arguments, environment and directory, and nothing else', async (t) => {
    const guest = await Guest.start(t);
    const script =
      'pwd; printf "[%s]" "$0" "$@"; echo; env; ls -l /proc/self/fd | grep -c -- "->"; umask; ps -o pid=,pgid=,sid= -p $$';
    const pid = await guest.spawn(['/bin/sh', '-c', script, 'zero', '', 'a b', 'ü'], {
      environment: ['PATH=/usr/bin:/bin', 'EMPTY=', 'KEY=a=b c'],
      directory: '/usr',
    });
    assert.equal(await guest.exit(), 0);
    const lines = guest.output(Proc.STDOUT).toString().split('\n');
    assert.equal(lines[0], '/usr');
    assert.equal(lines[1], '[zero][][a b][ü]');
    const environment = lines.slice(
      2,
      lines.findIndex((line) => /^\d+$/.test(line)),
    );
    assert.deepEqual(environment.filter((line) => !/^(PWD|_|OLDPWD|SHLVL)=/.test(line)).sort(), [
      'EMPTY=',
      'KEY=a=b c',
      'PATH=/usr/bin:/bin',
    ]);
    const [descriptors, mask, ids] = lines.slice(2 + environment.length);
    assert.equal(descriptors, '4', 'stdin, stdout, stderr and the directory that ls reads');
    assert.equal(mask, '0022');
    assert.deepEqual(ids?.trim().split(/\s+/), [`${pid}`, `${pid}`, `${pid}`]);
    await guest.finish();
  });

  test('starts with every signal at its default and none blocked', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat', '/proc/self/status']);
    assert.equal(await guest.exit(), 0);
    const status = guest.output(Proc.STDOUT).toString();
    for (const set of ['SigBlk', 'SigIgn', 'SigCgt']) assert.match(status, new RegExp(`^${set}:\\s0{16}$`, 'm'));
    await guest.finish();
  });

  test('has stdout and stderr apart, each with its end', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo out; echo err >&2; exec 2>&-; sleep 0.2; echo late');
    await guest.until(() => guest.outputEnded(Proc.STDERR), 'end of stderr');
    assert.ok(!guest.outputEnded(Proc.STDOUT));
    await guest.exit();
    assert.ok(guest.outputEnded(Proc.STDOUT));
    assert.equal(guest.output(Proc.STDOUT).toString(), 'out\nlate\n');
    assert.equal(guest.output(Proc.STDERR).toString(), 'err\n');
    await guest.finish();
  });

  for (const code of [0, 7, 255]) {
    test(`exit status ${code}`, async (t) => {
      const guest = await Guest.start(t);
      await guest.shell(`exit ${code}`);
      assert.equal(await guest.exit(), code << 8);
      await guest.finish();
    });
  }

  test('killed by a SIGNAL', async (t) => {
    const guest = await Guest.start(t);
    const pid = await guest.shell('sleep 1000 & echo $!; wait');
    await guest.outputHas(Proc.STDOUT, '\n');
    const other = Number(guest.output(Proc.STDOUT));
    await guest.ok(Proc.SIGNAL, u32(signals.SIGKILL));
    assert.equal(await guest.exit(), signals.SIGKILL);
    await gone(pid);
    await gone(other);
    await guest.fails(errno.ESRCH, Proc.SIGNAL, u32(signals.SIGTERM), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.SIGNAL, u32(0), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.SIGNAL, u32(1000), CallFlag.TOLERATE);
    await guest.finish();
  });

  test('dead by its own fault', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('kill -SEGV $$');
    assert.equal((await guest.exit()) & 0x7f, signals.SIGSEGV);
    await guest.finish();
  });

  test('what cannot be started is named, with the step that failed', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'plain'), 'no program');
    await mkdir(join(directory, 'bin'));
    await writeFile(join(directory, 'bin', 'plain'), 'no program');
    await writeFile(join(directory, 'broken'), '\x7fELF garbage');
    await chmod(join(directory, 'broken'), 0o755);
    const guest = await Guest.start(t);
    const environment = [`PATH=${directory}/nowhere:${directory}:${directory}/bin`];
    const fails = async (code: number, argv: string[], options = {}): Promise<string> =>
      guest.fails(code, Proc.SPAWN, spawnPayload(argv, { environment, ...options }), CallFlag.TOLERATE);
    assert.equal(await fails(errno.ENOENT, ['no-such']), 'execve(no-such): No such file or directory');
    assert.equal(await fails(errno.ENOENT, ['/no/such']), 'execve(/no/such): No such file or directory');
    assert.equal(await fails(errno.EACCES, ['plain']), `execve(${directory}/plain): Permission denied`);
    assert.equal(await fails(errno.EACCES, ['/usr']), 'execve(/usr): Permission denied');
    const nonexistent = { directory: '/nonexistent' };
    assert.equal(
      await fails(errno.ENOENT, ['/bin/true'], nonexistent),
      'chdir(/nonexistent): No such file or directory',
    );
    await fails(errno.EINVAL, []);
    await fails(errno.ENOENT, ['']);
    await fails(errno.EINVAL, ['/bin/true'], { uid: 0xffff_ffff });
    await fails(errno.EINVAL, ['/bin/true'], { gid: 0xffff_ffff });
    await fails(errno.EINVAL, ['/bin/true'], { flags: 2 });
    await fails(errno.EINVAL, ['/bin/true'], { flags: SpawnFlag.PTY, rows: 65_536, columns: 1 });
    await guest.spawn(['/bin/true']);
    assert.equal(await guest.exit(), 0);
    await guest.finish();
  });

  test('a script without an interpreter line is run by the shell', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'script'), 'echo "$0 $1"; exit 3');
    await chmod(join(directory, 'script'), 0o755);
    const guest = await Guest.start(t);
    await guest.spawn(['script', 'one'], { environment: [`PATH=/nowhere:${directory}:/bin`] });
    assert.equal(await guest.exit(), 3 << 8);
    assert.equal(guest.output(Proc.STDOUT).toString(), `${directory}/script one\n`);
    await guest.finish();
  });

  test('there is one', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['sleep', '1000']);
    await guest.fails(errno.EBUSY, Proc.SPAWN, spawnPayload(['true']), CallFlag.TOLERATE);
    await guest.ok(Proc.SIGNAL, u32(signals.SIGTERM));
    assert.equal(await guest.exit(), signals.SIGTERM);
    await guest.finish();
  });

  test('its ids, groups and capabilities are what the host says', { skip: !IS_ROOT && 'needs root' }, async (t) => {
    const show = 'grep -E "^(Uid|Gid|Groups|Cap)" /proc/self/status; id -u; [ -w /dev/stderr ] && echo own';
    const status = async (options: object): Promise<string> => {
      const guest = await Guest.start(t);
      await guest.shell(`${show}; echo >/dev/stdout; exit 0`, options);
      assert.equal(await guest.exit(), 0);
      await guest.finish();
      return guest.output(Proc.STDOUT).toString();
    };
    const none = '0'.repeat(16);
    const nobody = await status({ uid: 65_534, gid: 65_533, groups: [7, 9], capabilities: 0n });
    assert.match(nobody, /^Uid:\t65534\t65534\t65534\t65534$/m);
    assert.match(nobody, /^Gid:\t65533\t65533\t65533\t65533$/m);
    assert.match(nobody, /^Groups:\t7 9 $/m);
    assert.match(nobody, /^own$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(nobody, new RegExp(`^Cap${set}:\t${none}$`, 'm'));

    const powerless = await status({ uid: 0, gid: 0, groups: [], capabilities: 0n });
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(powerless, new RegExp(`^Cap${set}:\t${none}$`, 'm'));

    const kept = await status({ uid: 0, gid: 0, groups: [], capabilities: 0x3n });
    for (const set of ['Prm', 'Eff', 'Bnd']) assert.match(kept, new RegExp(`^Cap${set}:\t0{15}3$`, 'm'));

    const user = await status({ uid: 65_534, gid: 65_534, groups: [], capabilities: 0x3n });
    assert.match(user, /^CapBnd:\t0{15}3$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Amb']) assert.match(user, new RegExp(`^Cap${set}:\t${none}$`, 'm'));
  });
});

describe('streams', () => {
  test('10 MiB through cat come back whole', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat']);
    const data = Buffer.alloc(10 * 1024 * 1024);
    for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2_654_435_761) >>> 0, i);
    for (let sent = 0; sent < data.length; ) {
      await guest.until(() => sent - guest.acknowledged < STDIN_WINDOW_BYTES, 'acknowledgement');
      const size = Math.min(100_000, STDIN_WINDOW_BYTES - (sent - guest.acknowledged), data.length - sent);
      guest.stdin(data.subarray(sent, sent + size));
      sent += size;
    }
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(data));
    assert.equal(guest.acknowledged, data.length);
    const acknowledgements = guest.packets.filter((each) => each.proc === Proc.STDIN).length;
    assert.ok(acknowledgements < 700, `${acknowledgements} acknowledgements for 105 packets`);
    await guest.finish();
  });

  test('stdin may come before the application, and ends it', async (t) => {
    const guest = await Guest.start(t);
    guest.stdin('one\n');
    guest.stdin('two\n');
    guest.stdinEnd();
    await guest.spawn(['cat']);
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), 'one\ntwo\n');
    await guest.finish();
  });

  test('a program that does not read its stdin still gets a signal', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['sleep', '1000']);
    for (let i = 0; i < 8; i++) guest.stdin(Buffer.alloc(STDIN_WINDOW_BYTES / 8));
    guest.stdinEnd();
    await guest.ok(Proc.SIGNAL, u32(signals.SIGTERM));
    assert.equal(await guest.exit(), signals.SIGTERM);
    await guest.until(() => guest.acknowledged === STDIN_WINDOW_BYTES, 'acknowledgement of what nobody read');
    await guest.finish();
  });

  test('more stdin than the window ends the connection', async (t) => {
    const guest = await Guest.start(t);
    for (let i = 0; i < 8; i++) guest.stdin(Buffer.alloc(STDIN_WINDOW_BYTES / 8));
    guest.stdin('x');
    await guest.ended();
    assert.match(guest.said, /more stdin than it may/);
  });

  test('stdin for a program that has closed it is thrown away and acknowledged', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('exec 0<&-; echo closed; sleep 1000');
    await guest.outputHas(Proc.STDOUT, 'closed');
    for (let i = 1; i <= 20; i++) {
      guest.stdin(Buffer.alloc(100_000));
      await guest.until(() => guest.acknowledged === i * 100_000, 'acknowledgement');
    }
    await guest.ok(Proc.SIGNAL, u32(signals.SIGTERM));
    await guest.finish();
  });

  test('stdin goes on being served while an operation takes long', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat']);
    const run = guest.send(Proc.RUN, runPayload(['sleep', '0.5']));
    guest.stdin('through\n');
    await guest.outputHas(Proc.STDOUT, 'through');
    assert.ok(!guest.packets.some((each) => each.serial === run), 'the operation has not ended yet');
    await guest.reply(run);
    await guest.finish();
  });

  test('output waits for a slow host, and operations are answered behind it', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const bytes = 8 * 1024 * 1024;
    guest.socket.pause();
    await new Promise((resolve) => setImmediate(resolve));
    const spawned = guest.send(
      Proc.SPAWN,
      spawnPayload(['/bin/sh', '-c', `head -c ${bytes} /dev/zero; touch ${directory}/done`]),
    );
    await sleep(500);
    await assert.rejects(stat(`${directory}/done`), { code: 'ENOENT' }, 'the program had to wait');
    const asked = guest.send(Proc.STAT, Buffer.concat([str('/'), u32(0)]));
    guest.socket.resume();
    assert.equal((await guest.reply(spawned)).status, Status.OK);
    assert.equal((await guest.reply(asked)).status, Status.OK);
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).length, bytes);
    await guest.finish();
  });

  test('two streams at full speed both arrive whole', async (t) => {
    const guest = await Guest.start(t);
    const bytes = 3_000_000;
    await guest.shell(`head -c ${bytes} /dev/zero >&2 & head -c ${bytes} /dev/zero | tr '\\0' x; wait`);
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(Buffer.alloc(bytes, 'x')));
    assert.ok(guest.output(Proc.STDERR).equals(Buffer.alloc(bytes)));
    await guest.finish();
  });
});

describe('a terminal', () => {
  test('is the controlling one, with its size', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell(
      'stty size; tty </dev/tty >/dev/null && echo controlling; test -t 0 -a -t 1 -a -t 2 && echo all; echo err >&2',
      {
        ...PTY,
        rows: 33,
        columns: 101,
      },
    );
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), '33 101\r\ncontrolling\r\nall\r\nerr\r\n');
    assert.ok(guest.outputEnded(Proc.STDOUT));
    assert.ok(!guest.packets.some((each) => each.proc === Proc.STDERR));
    await guest.finish();
  });

  test('RESIZE is seen, and a terminal is needed for it', async (t) => {
    const guest = await Guest.start(t);
    const size = Buffer.concat([u32(50), u32(132)]);
    await guest.fails(errno.ENOTTY, Proc.RESIZE, size, CallFlag.TOLERATE);
    await guest.shell('trap "stty size; exit 4" WINCH; echo set; while :; do sleep 0.05; done', PTY);
    await guest.outputHas(Proc.STDOUT, 'set');
    await guest.fails(errno.EINVAL, Proc.RESIZE, Buffer.concat([u32(65_536), u32(1)]), CallFlag.TOLERATE);
    await guest.ok(Proc.RESIZE, size);
    assert.equal(await guest.exit(), 4 << 8);
    await guest.outputHas(Proc.STDOUT, '50 132');
    await guest.finish();
  });

  test('the end of stdin is typed, behind a whole line', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat'], PTY);
    guest.stdin('hello\n');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.equal(guest.output(Proc.STDOUT).toString(), 'hello\r\nhello\r\n');
    await guest.finish();
  });

  test('the end of stdin is typed, behind a line without end', async (t) => {
    const guest = await Guest.start(t);
    await guest.spawn(['cat'], PTY);
    guest.stdin('hello');
    guest.stdinEnd();
    assert.equal(await guest.exit(), 0);
    assert.match(guest.output(Proc.STDOUT).toString(), /^hello.*hello/s);
    await guest.finish();
  });

  test('SIGNAL goes to the foreground', async (t) => {
    const guest = await Guest.start(t);
    const script = 'trap "echo shell got it" INT; echo ready; sleep 1000; echo status $?; exit 5';
    await guest.spawn(['bash', '-ic', script], { ...PTY, environment: ['PATH=/usr/bin:/bin', 'HOME=/nonexistent'] });
    await guest.outputHas(Proc.STDOUT, 'ready');
    // The shell may not have come to its sleep yet, and then it is the foreground itself, and goes on.
    for (let i = 0; !guest.output(Proc.STDOUT).includes('status 130') && i < 100; i++) {
      await guest.call(Proc.SIGNAL, u32(signals.SIGINT), CallFlag.TOLERATE);
      await sleep(100);
    }
    assert.equal(await guest.exit(), 5 << 8);
    await guest.finish();
  });

  test('control characters work as at any terminal', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo started; exec sleep 1000', PTY);
    await guest.outputHas(Proc.STDOUT, 'started');
    await sleep(100);
    guest.stdin('\x03');
    assert.equal(await guest.exit(), signals.SIGINT);
    await guest.finish();
  });

  test('much output comes whole', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('stty -opost; head -c 1000000 /dev/zero | tr "\\0" y', PTY);
    assert.equal(await guest.exit(), 0);
    assert.ok(guest.output(Proc.STDOUT).equals(Buffer.alloc(1_000_000, 'y')));
    await guest.finish();
  });
});

describe('what an application leaves running', () => {
  test('is killed at once where it does not hold the output', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('sleep 1000 </dev/null >/dev/null 2>&1 & echo $!');
    const start = Date.now();
    assert.equal(await guest.exit(), 0);
    assert.ok(Date.now() - start < 900);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
  });

  test('is killed after a second of silence where it holds the output', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('sleep 1000 & echo $!');
    await guest.outputHas(Proc.STDOUT, '\n');
    const start = Date.now();
    assert.equal(await guest.exit(), 0);
    const took = Date.now() - start;
    assert.ok(took > 800 && took < 2500, `${took} ms`);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
  });

  test('may go on while it is not silent', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('(for i in 1 2 3 4 5; do sleep 0.5; echo $i; done) & exit 9');
    assert.equal(await guest.exit(), 9 << 8);
    assert.equal(guest.output(Proc.STDOUT).toString(), '1\n2\n3\n4\n5\n');
    await guest.finish();
  });

  test('is killed even in a session of its own', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('setsid sleep 1000 & sleep 0.1; echo $!');
    assert.equal(await guest.exit(), 0);
    await gone(Number(guest.output(Proc.STDOUT)));
    await guest.finish();
  });
});

describe('the end', () => {
  test('EXIT is the last, and the host has all the time it wants to read up to it', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('echo last');
    await guest.exit();
    assert.equal(guest.packets.at(-1)?.proc, Proc.EXIT);
    const ended = guest.ended().then(() => 'ended');
    const waited = new Promise((resolve) => setTimeout(() => resolve('waiting'), 1500));
    assert.equal(await Promise.race([ended, waited]), 'waiting');
    await guest.finish();
  });

  test('QUIT after EXIT ends it at once', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('exit 1');
    await guest.exit();
    const start = Date.now();
    await guest.finish();
    assert.ok(Date.now() - start < 600);
  });

  const ends: [string, (guest: Guest) => void][] = [
    ['QUIT', (guest) => guest.quit()],
    ['the end of the connection', (guest) => guest.socket.end()],
    ['a broken connection', (guest) => guest.socket.destroy()],
    ['SIGTERM', (guest) => guest.process.kill('SIGTERM')],
    ['SIGINT', (guest) => guest.process.kill('SIGINT')],
    ['SIGPWR', (guest) => guest.process.kill('SIGPWR')],
  ];
  for (const [name, end] of ends) {
    test(`${name} kills the application and sends no EXIT`, async (t) => {
      const guest = await Guest.start(t);
      const pid = await guest.shell('trap "" TERM HUP; sleep 1000 & echo $!; wait; sleep 1000');
      await guest.outputHas(Proc.STDOUT, '\n');
      end(guest);
      await guest.ended();
      assert.ok(!guest.packets.some((each) => each.proc === Proc.EXIT));
      await gone(pid);
      await gone(Number(guest.output(Proc.STDOUT)));
    });
  }

  test('QUIT ends it also while the application writes and an operation runs', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('yes');
    guest.send(Proc.RUN, runPayload(['sleep', '50'], { timeout: 60_000 }));
    await guest.outputHas(Proc.STDOUT, 'y\n');
    await guest.finish();
  });

  test('the end of the connection ends it also while nothing can be written', async (t) => {
    const guest = await Guest.start(t);
    await guest.shell('yes');
    guest.socket.pause();
    await sleep(300);
    guest.socket.destroy();
    await guest.ended();
  });

  test('POWER_OFF is answered first', async (t) => {
    const guest = await Guest.start(t);
    const pid = await guest.spawn(['sleep', '1000']);
    assert.equal((await guest.call(Proc.POWER_OFF)).status, Status.OK);
    await guest.ended();
    await gone(pid);
  });
});

describe('RUN', () => {
  test('gives the status and both outputs of a helper', async (t) => {
    const guest = await Guest.start(t);
    const run = async (payload: Buffer) => decodeRun(await guest.ok(Proc.RUN, payload));
    assert.deepEqual(await run(runPayload(['sh', '-c', 'echo out; echo err >&2; exit 3'])), {
      status: 3 << 8,
      output: 'out\nerr\n',
    });
    assert.deepEqual(await run(runPayload(['sh', '-c', 'kill -KILL $$'])), { status: signals.SIGKILL, output: '' });
    assert.deepEqual(await run(runPayload(['env'], { environment: ['PATH=/usr/bin:/bin', 'A=b'] })), {
      status: 0,
      output: 'PATH=/usr/bin:/bin\nA=b\n',
    });
    await guest.finish();
  });

  test('feeds it its stdin', async (t) => {
    const guest = await Guest.start(t);
    const stdin = Buffer.alloc(200_000, 'z');
    assert.equal(decodeRun(await guest.ok(Proc.RUN, runPayload(['wc', '-c'], { stdin }))).output.trim(), '200000');
    assert.equal(decodeRun(await guest.ok(Proc.RUN, runPayload(['true'], { stdin }))).status, 0);
    await guest.finish();
  });

  test('keeps the last 65536 bytes', async (t) => {
    const guest = await Guest.start(t);
    const { output } = decodeRun(await guest.ok(Proc.RUN, runPayload(['seq', '1', '100000'])));
    const whole = Array.from({ length: 100_000 }, (_, i) => `${i + 1}\n`).join('');
    assert.equal(output, whole.slice(-65_536));
    await guest.finish();
  });

  test('ends a helper that takes too long, and all it has started', async (t) => {
    const directory = await scratch(t);
    const guest = await Guest.start(t);
    const script = `sleep 1000 & echo $! >${directory}/pid; wait`;
    const start = Date.now();
    const detail = await guest.fails(
      errno.ETIMEDOUT,
      Proc.RUN,
      runPayload(['sh', '-c', script], { timeout: 300 }),
      CallFlag.TOLERATE,
    );
    assert.match(detail, /^run\(sh\): /);
    const took = Date.now() - start;
    assert.ok(took >= 300 && took < 3000, `${took} ms`);
    await gone(Number(await readFile(`${directory}/pid`, 'latin1')));
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload(['true'], { timeout: 0 }), CallFlag.TOLERATE);
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload(['true'], { timeout: 60_001 }), CallFlag.TOLERATE);
    await guest.finish();
  });

  test('does not wait for a daemon that keeps the output open', async (t) => {
    const guest = await Guest.start(t);
    const { output } = decodeRun(
      await guest.ok(Proc.RUN, runPayload(['sh', '-c', 'sleep 1000 & echo done'], { timeout: 5000 })),
    );
    assert.equal(output, 'done\n');
    await guest.finish();
  });

  test('names what cannot be started', async (t) => {
    const guest = await Guest.start(t);
    const detail = await guest.fails(errno.ENOENT, Proc.RUN, runPayload(['no-such-helper']), CallFlag.TOLERATE);
    assert.equal(detail, 'execve(no-such-helper): No such file or directory');
    await guest.fails(errno.EINVAL, Proc.RUN, runPayload([]), CallFlag.TOLERATE);
    await guest.finish();
  });
});

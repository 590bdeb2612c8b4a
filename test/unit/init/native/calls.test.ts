/** Calls: their arguments, and the order in which they run and are answered. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallFlag, MessageType, Proc, Status } from '../../../../src/protocol/wire.js';
import { Guest, list, runPayload, spawnPayload, str, u32, u64 } from './driver.js';
import { scratch } from './machine.js';

const { errno } = constants;

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
  test('malformed ones are answered with EPROTO', async (t) => {
    const guest = await Guest.start(t);
    for (const [name, proc, payload] of bad) {
      const detail = await guest.fails(errno.EPROTO, proc, payload, CallFlag.TOLERATE);
      assert.match(detail, /arguments: Protocol error$/, name);
    }
    await guest.fails(errno.EPROTO, Proc.SYNC, Buffer.alloc(0), 4 | CallFlag.TOLERATE);
    await guest.finish();
  });

  test('CLEAR_MEMORY takes 1 to 1024 MiB', async (t) => {
    const guest = await Guest.start(t);
    await guest.ok(Proc.CLEAR_MEMORY, u32(1));
    for (const mebibytes of [0, 1025, 0xffff_ffff]) {
      const detail = await guest.fails(errno.EINVAL, Proc.CLEAR_MEMORY, u32(mebibytes), CallFlag.TOLERATE);
      assert.match(detail, new RegExp(`clear_memory\\(${mebibytes} MiB\\): not 1 to 1024`));
    }
    await guest.finish();
  });

  test('an unknown operation is answered with ENOSYS', async (t) => {
    const guest = await Guest.start(t);
    for (const proc of [0, Proc.READY, 31, 1000, 0xffff_ffff]) {
      const detail = await guest.fails(errno.ENOSYS, proc, Buffer.from('anything'), CallFlag.TOLERATE);
      assert.match(detail, new RegExp(`operation ${proc}: `));
    }
    await guest.finish();
  });

  test('a path may have at most 4095 bytes', async (t) => {
    const guest = await Guest.start(t);
    const long = (size: number) => Buffer.concat([str(`/${'./'.repeat(2047)}`.padEnd(size, '/')), u32(0)]);
    await guest.ok(Proc.STAT, long(4095));
    await guest.fails(errno.ENAMETOOLONG, Proc.STAT, long(4096));
    await guest.finish();
  });

  test('this build refuses everything that would change the machine', async (t) => {
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
    await tolerate(Proc.SESSIONS, str('/dev/console'));
    await tolerate(Proc.TERMINAL, str('/dev/console'), list(['/bin/true']), list([]));
    await guest.finish();
  });
});

describe('order', () => {
  const missing = Buffer.concat([str('/no/such/file'), u32(0)]);
  const root = Buffer.concat([str('/'), u32(0)]);

  test('calls after a failed one are skipped, except for those that never are', async (t) => {
    const guest = await Guest.start(t);
    const first = guest.send(Proc.STAT, missing);
    const second = guest.send(Proc.STAT, root);
    const unknown = guest.send(999);
    const tolerant = guest.send(Proc.STAT, root, CallFlag.TOLERATE);
    const synced = guest.send(Proc.SYNC);
    const signalled = guest.send(Proc.SIGNAL, Buffer.concat([u32(1), u32(15)]));
    const resized = guest.send(Proc.RESIZE, Buffer.concat([u32(1), u32(1), u32(1)]));
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
    assert.equal(replies[6]?.errno, errno.ESRCH);
    const skipped = await guest.packet((each) => each.serial === second);
    assert.deepEqual(skipped.payload, u32(0));
    await guest.finish();
  });

  test('a tolerated failure does not stop the rest, and RECOVER does not make a failure tolerated', async (t) => {
    const guest = await Guest.start(t);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.TOLERATE);
    await guest.ok(Proc.STAT, root);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.RECOVER);
    assert.equal((await guest.call(Proc.STAT, root)).status, Status.SKIPPED);
    await guest.fails(errno.ENOENT, Proc.STAT, missing, CallFlag.RECOVER | CallFlag.TOLERATE);
    await guest.ok(Proc.STAT, root);
    await guest.finish();
  });

  test('calls after a slow one wait, however many, and are answered in order', async (t) => {
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

  test('a SPAWN that is too long to wait inside goes on when the replies before it are sent', async (t) => {
    const directory = await scratch(t);
    await writeFile(join(directory, 'file'), Buffer.alloc(131_072, 7));
    const guest = await Guest.start(t);
    const file = Buffer.concat([str(join(directory, 'file')), u32(131_072)]);
    const long = spawnPayload(['true', ...Array.from({ length: 6 }, () => 'x'.repeat(100_000))], { flags: 0 });
    // All of the replies have to be sent before the init is asked to wait, which is so in most rounds.
    for (let round = 0; round < 20; round += 1) {
      guest.send(Proc.RUN, runPayload(['sleep', '0.05']));
      guest.send(Proc.READ_FILE, file);
      guest.send(Proc.READ_FILE, file);
      assert.equal((await guest.reply(guest.send(Proc.SPAWN, long))).status, Status.OK);
    }
    await guest.finish();
  });

  test('a host that does not read gets every reply later', async (t) => {
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

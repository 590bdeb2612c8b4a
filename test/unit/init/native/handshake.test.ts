/** The start of the native init's channel: handshake and packet framing. */

import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  HANDSHAKE_SYNC,
  HANDSHAKE_WAIT,
  MAX_PACKET_BYTES,
  MAX_SPAWN_BYTES,
  MessageType,
  PROTOCOL_VERSION,
  Proc,
  Status,
} from '../../../../src/protocol/wire.js';
import { Guest, packet, str, u32, writeFilePayload } from './driver.js';
import { gone, scratch } from './machine.js';

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

  test('READY is first, and names the kernel', async (t) => {
    const guest = await Guest.start(t);
    const [ready] = guest.packets;
    assert.ok(ready);
    assert.deepEqual([ready.proc, ready.type, ready.status, ready.serial], [Proc.READY, MessageType.MESSAGE, 0, 0]);
    const expected = Buffer.concat([u32(PROTOCOL_VERSION), str(release())]);
    assert.deepEqual(ready.payload.subarray(0, expected.length), expected);
    const [started, became] = [0, 8].map((at) => ready.payload.readBigUInt64BE(expected.length + at));
    assert.ok(started !== undefined && became !== undefined && started > 0n && started <= became);
    assert.deepEqual(ready.payload.subarray(expected.length + 16), u32(0));
    await guest.finish();
  });

  test('packets may arrive together with its last byte', async (t) => {
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

  test('a silent host is not waited for without end', async (t) => {
    const guest = await Guest.start(t, { handshake: false, arguments: ['--handshake-ms', '300'] });
    await guest.ended();
    assert.match(guest.said, /^init: no host has connected in time$/m);
  });

  test('a host that leaves before it does not end the wait, and costs no CPU time', async (t) => {
    const guest = await Guest.start(t, { handshake: false, arguments: ['--handshake-ms', '60000'] });
    guest.socket.end();
    await sleep(900);
    const fields = (await readFile(`/proc/${guest.process.pid}/stat`, 'latin1')).split(') ')[1]?.split(' ');
    assert.ok(Number(fields?.[11]) + Number(fields?.[12]) < 50, 'less than half a second of processor time');
    guest.process.kill('SIGTERM');
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
    ['length 2359297', header(MAX_SPAWN_BYTES + 1, Proc.SPAWN, 2, 0, 1), /longer than the limit/],
    ['length 262145 of output', header(MAX_PACKET_BYTES + 1, Proc.SPAWN, 0, 0, 1), /longer than the limit/],
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

  test('unknown packets are ignored', async (t) => {
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

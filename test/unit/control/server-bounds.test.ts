/** What hosts can cost the server of a sandbox: how much it reads, keeps and serves at once. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MOST_HOSTS } from '../../../src/control/server.js';
import { encodePacket } from '../../../src/protocol/packets.js';
import { HANDSHAKE_WAIT, MessageType, OUTPUT_WINDOW_BYTES, Proc, Status } from '../../../src/protocol/wire.js';
import { exit, numbers, stream } from '../protocol/guest.js';
import { errnoOf, holder, RawHost, request, spawnPayload, until, withTwo } from './stand-ins.js';

const { errno } = constants;
const { CALL, DATA, REPLY } = MessageType;

describe('the bounds of the server of a sandbox', () => {
  it('acknowledges for no host, and keeps no more than the windows for one that does not read', async (t) => {
    const { guest, one, other } = await withTwo(t);
    const process = await one.spawn();
    one.socket.pause();
    for (const proc of [Proc.STDOUT, Proc.STDERR]) guest.say(stream(proc, process, Buffer.alloc(200_000)));
    // The other one is served meanwhile.
    const quick = await other.spawn();
    assert.equal(guest.acknowledged(Proc.STDOUT, process), 0);
    guest.say(stream(Proc.STDOUT, quick, Buffer.alloc(5)));
    await other.until(() => other.of(Proc.STDOUT, DATA, quick).length > 0);
    other.send(Proc.STDOUT, REPLY, quick, numbers(5));
    await until(() => guest.acknowledged(Proc.STDOUT, quick) === 5);
    // A guest that sends more than the window breaks its connection.
    for (let sent = 200_000; sent <= OUTPUT_WINDOW_BYTES; sent += 200_000)
      guest.say(stream(Proc.STDOUT, process, Buffer.alloc(200_000)));
    await assert.rejects(guest.channel.call({ op: 'sync' }), { message: /more output than it may/ });
  });

  it('reads no further while calls are unanswered', async (t) => {
    const { guest, one, other } = await withTwo(t);
    const process = await one.spawn();
    guest.isSilent = true;
    const packet = encodePacket(Proc.SIGNAL, CALL, 0, 1, numbers(process, 1));
    for (let sent = 0; sent < 100; sent += 1) one.socket.write(Buffer.concat(Array(1000).fill(packet) as Buffer[]));
    for (let asked = 0; asked < 300; asked += 1) await other.call(Proc.CONTROL, request({ ask: 'keep' }));
    assert.ok(one.socket.writableLength > 0);
    assert.equal(guest.of(Proc.SIGNAL, CALL).length, 64);
  });

  it('takes what came in one piece in its order, when there is room again', async (t) => {
    const held = await holder(t);
    const host = await RawHost.connect(t, held);
    const process = await host.spawn();
    held.guest.isSilent = true;
    const signalled = Array.from({ length: 200 }, (_, index) =>
      encodePacket(Proc.SIGNAL, CALL, 0, index + 100, numbers(process, index)),
    );
    host.socket.write(Buffer.concat(signalled));
    const calls = () => held.guest.sent.filter(({ header }) => header.proc === Proc.SIGNAL);
    await until(() => calls().length === 64);
    held.guest.isSilent = false;
    held.guest.say(
      ...calls().map(({ header }) => encodePacket(Proc.SIGNAL, REPLY, Status.OK, header.serial, numbers(0))),
    );
    await until(() => calls().length === 200);
    assert.deepEqual(held.guest.signals(process), [...signalled.keys()]);
  });

  it('closes the connection of a host that leaves unread what ended processes have written', async (t) => {
    const held = await holder(t);
    const host = await RawHost.connect(t, held);
    host.socket.pause();
    const spawns = Array.from({ length: 200 }, (_, index) =>
      encodePacket(Proc.SPAWN, CALL, 0, index + 100, spawnPayload()),
    );
    host.socket.write(Buffer.concat(spawns));
    await until(() => held.guest.of(Proc.SPAWN, CALL).length === 200);
    let ended = 0;
    // The others are ended with their connection.
    for (; held.guest.of(Proc.SIGNAL, CALL).length === 0; ended += 1) {
      for (let sent = 0; sent < OUTPUT_WINDOW_BYTES; sent += 131_072)
        held.guest.say(stream(Proc.STDOUT, ended + 1, Buffer.alloc(131_072)));
      held.guest.say(exit(ended + 1));
      await nextTurn();
    }
    await host.closed();
    assert.ok(ended < 40, String(ended));
    for (; ended < 200; ended += 1) held.guest.say(exit(ended + 1));
    await until(() => held.guest.channel.processes === 0);
  });

  it(`serves ${MOST_HOSTS} hosts at once`, async (t) => {
    const held = await holder(t);
    const hosts = await Promise.all(Array.from({ length: MOST_HOSTS }, () => RawHost.connect(t, held)));
    const late = await RawHost.connect(t, held, { greets: false });
    late.socket.on('data', () => assert.fail('it is served'));
    late.socket.write(Uint8Array.of(HANDSHAKE_WAIT));
    await late.closed();
    hosts[0]?.socket.destroy();
    // There is room when the server has seen that.
    for (let isServed = false; !isServed; ) {
      const next = RawHost.connect(t, held);
      isServed = await next.then(
        () => true,
        () => false,
      );
    }
  });

  it('lets a host have so many requests wait, and no more', async (t) => {
    const held = await holder(t, () => new Promise(() => {}));
    const host = await RawHost.connect(t, held);
    for (let serial = 100; serial < 116; serial += 1) host.send(Proc.CONTROL, CALL, serial, request({ ask: 'wait' }));
    assert.equal(errnoOf(await host.call(Proc.CONTROL, request({ ask: 'wait' }))), errno.EAGAIN);
  });
});

/** The application of a sandbox that was taken of a pool: a process that a host starts. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { listen } from '../../../src/control/server.js';
import { Refusal } from '../../../src/control/serving.js';
import type { GuestExit } from '../../../src/protocol/exit.js';
import { FieldWriter } from '../../../src/protocol/fields.js';
import { encodePacket } from '../../../src/protocol/packets.js';
import { MessageType, OUTPUT_WINDOW_BYTES, Proc, Status } from '../../../src/protocol/wire.js';
import { deferred } from '../../../src/util/promises.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { exit, spawned, stream } from '../protocol/guest.js';
import { holder, RawHost, StandInGuest, spawnPayload, until } from './stand-ins.js';

const { errno } = constants;
const { CALL, DATA, MESSAGE, REPLY } = MessageType;

const APPLICATION = new FieldWriter().str('{"ask":"application"}').finish();

/** @param output what takes the application's output; default: its host */
async function served(t: TestContext, output?: (bytes: Buffer) => Promise<void>) {
  const guest = new StandInGuest();
  const path = join(scratchDirectory(t), 'control');
  const told: { started: number[]; ended: GuestExit[] } = { started: [], ended: [] };
  let isClaimed = false;
  const server = await listen(path, {
    channel: guest.channel,
    kernelRelease: '6.1',
    answer: async () => ({}),
    application: () => {
      if (isClaimed) throw new Refusal(errno.EBUSY, 'there is one');
      isClaimed = true;
      return {
        started: (number) => told.started.push(number),
        ended: (how) => told.ended.push(how),
        ...(output === undefined ? {} : { output: (_proc, bytes) => output(Buffer.from(bytes)) }),
      };
    },
  });
  t.after(() => server.close());
  return { guest, told, path, server };
}

describe('an application that a host starts', () => {
  it('is the process that comes next, and one alone', async (t) => {
    const { guest, told, path } = await served(t);
    const [host, other] = [await RawHost.connect(t, { path }), await RawHost.connect(t, { path })];
    const before = await host.spawn();
    assert.equal((await host.call(Proc.CONTROL, APPLICATION)).status, Status.OK);
    const refused = await other.call(Proc.CONTROL, APPLICATION);
    assert.deepEqual([refused.status, refused.payload.readUInt32BE(4)], [Status.ERROR, errno.EBUSY]);
    const unwanted = await other.call(Proc.SPAWN, spawnPayload());
    assert.deepEqual([unwanted.status, unwanted.payload.readUInt32BE(4)], [Status.ERROR, errno.ECANCELED]);
    assert.equal(guest.of(Proc.SPAWN, CALL).length, 1);
    const [beside, application, after] = [await other.spawn(), await host.spawn(), await host.spawn()];
    assert.deepEqual(told.started, [application]);
    guest.say(...[before, beside, after].map((number) => exit(number)), exit(application, 256));
    await host.until(() => host.of(Proc.EXIT, MESSAGE, application).length > 0);
    assert.deepEqual(
      told.ended.map(({ status }) => status),
      [256],
    );
  });

  it('may be tried again where it did not start', async (t) => {
    const { guest, told, path } = await served(t);
    const host = await RawHost.connect(t, { path });
    await host.call(Proc.CONTROL, APPLICATION);
    guest.isSilent = true;
    const failing = host.call(Proc.SPAWN, spawnPayload());
    await until(() => guest.of(Proc.SPAWN, CALL).length === 1);
    const serial = guest.sent.find(({ header }) => header.proc === Proc.SPAWN)?.header.serial ?? 0;
    const failure = new FieldWriter().u32(0).u32(errno.ENOENT).str('chdir').finish();
    guest.say(encodePacket(Proc.SPAWN, REPLY, Status.ERROR, serial, failure));
    assert.equal((await failing).status, Status.ERROR);
    const starting = host.call(Proc.SPAWN, spawnPayload());
    await until(() => guest.of(Proc.SPAWN, CALL).length === 2);
    guest.say(spawned(guest.sent.at(-1)?.header.serial ?? 0, 9));
    await starting;
    assert.deepEqual(told.started, [9]);
  });

  it('has its end told when its host has left', async (t) => {
    const { guest, told, path } = await served(t);
    const host = await RawHost.connect(t, { path });
    await host.call(Proc.CONTROL, APPLICATION);
    const application = await host.spawn();
    host.socket.destroy();
    await until(() => guest.signals(application).includes(1));
    guest.say(exit(application, 1));
    await until(() => told.ended.length === 1);
  });

  it('writes to who watches it, also when its host has left, and no faster than that takes it', async (t) => {
    const written: string[] = [];
    const taking = deferred<void>();
    const { guest, path } = await served(t, (bytes) => {
      written.push(String(bytes));
      return taking.promise;
    });
    const host = await RawHost.connect(t, { path });
    await host.call(Proc.CONTROL, APPLICATION);
    const application = await host.spawn();
    guest.say(stream(Proc.STDOUT, application, Buffer.from('one')));
    await until(() => written.length === 1);
    host.socket.destroy();
    await until(() => guest.signals(application).length > 0);
    guest.say(stream(Proc.STDERR, application, Buffer.from('other')));
    await until(() => written.length === 2);
    assert.deepEqual(written, ['one', 'other']);
    const taken = () => [Proc.STDOUT, Proc.STDERR].map((proc) => guest.acknowledged(proc, application));
    assert.deepEqual(taken(), [0, 0]);
    taking.resolve();
    await until(() => taken()[1] === 5);
    assert.deepEqual(taken(), [3, 5]);
    assert.equal(host.of(Proc.STDOUT, DATA, application).length, 0);
  });

  it('has its last output and its end told to a host that reads them late, and no other is waited for', async (t) => {
    const { guest, path, server } = await served(t);
    const [host, other] = [await RawHost.connect(t, { path }), await RawHost.connect(t, { path })];
    await host.call(Proc.CONTROL, APPLICATION);
    const application = await host.spawn();
    for (const { socket } of [host, other]) socket.pause();
    for (let sent = 0; sent < OUTPUT_WINDOW_BYTES; sent += 131_072)
      guest.say(stream(Proc.STDOUT, application, Buffer.alloc(131_072)));
    // The other one has something unread, too.
    for (let serial = 1; serial < 4000; serial += 1) other.send(99, CALL, serial, Buffer.alloc(0));
    guest.say(stream(Proc.STDOUT, application, new Uint8Array()), exit(application, 256));
    await nextTurn();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const closing = server.close();
    await nextTurn();
    t.mock.timers.tick(60_000);
    await other.closed();
    assert.ok(!host.isClosed);
    host.socket.resume();
    await host.closed();
    await closing;
    const bytes = host.of(Proc.STDOUT, DATA, application).reduce((sum, { length }) => sum + length, 0);
    assert.equal(bytes, OUTPUT_WINDOW_BYTES);
    assert.equal(host.of(Proc.EXIT, MESSAGE, application)[0]?.readInt32BE(0), 256);
  });

  it('cannot be that of a sandbox with one', async (t) => {
    const host = await RawHost.connect(t, await holder(t));
    const { status, payload } = await host.call(Proc.CONTROL, APPLICATION);
    assert.deepEqual([status, payload.readUInt32BE(4)], [Status.ERROR, errno.EBUSY]);
  });
});

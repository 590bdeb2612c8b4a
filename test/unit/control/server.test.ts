/** The server of a sandbox: who gets what, and hosts that send what they must not. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { serveIn } from '../../../src/control/server.js';
import { Refusal } from '../../../src/control/serving.js';
import { FieldReader, FieldWriter } from '../../../src/protocol/fields.js';
import {
  HANDSHAKE_WAIT,
  MessageType,
  Proc,
  SpawnFlag,
  STDIN_WINDOW_BYTES,
  Status,
} from '../../../src/protocol/wire.js';
import { scratchDirectory } from '../../helpers/scratch.js';
import { exit, numbers, spawned, stdinTaken, stream } from '../protocol/guest.js';
import { record } from './a-record.js';
import { errnoOf, holder, RawHost, request, StandInGuest, spawnPayload, until, withTwo } from './stand-ins.js';

const { errno, signals } = constants;
const { CALL, DATA, MESSAGE, REPLY } = MessageType;

const readFile = (path: string) => new FieldWriter().str(path).u32(100).finish();

describe('the server of a sandbox', () => {
  it('has a socket for its user alone', async (t) => {
    const { path } = await holder(t);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('removes nothing of the sandbox that has its name next', async (t) => {
    const directory = join(scratchDirectory(t), 'state');
    const { channel } = new StandInGuest();
    const serve = () => serveIn(directory, record, { channel, kernelRelease: '6.1', answer: async () => ({}) });
    mkdirSync(directory);
    const old = await serve();
    rmSync(directory, { recursive: true });
    mkdirSync(directory);
    const next = await serve();
    await old.close();
    assert.deepEqual(readdirSync(directory).sort(), ['control', 'sandbox.json']);
    await next.close();
    assert.deepEqual(readdirSync(directory), ['sandbox.json']);
    // A server that cannot put its sandbox on record is none.
    writeFileSync(join(directory, 'sandbox.json.new'), '');
    await assert.rejects(serve(), { code: 'EEXIST' });
    assert.deepEqual(readdirSync(directory).sort(), ['sandbox.json', 'sandbox.json.new']);
  });

  it('answers what the guest has not when that is gone', async (t) => {
    const held = await holder(t, () => new Promise(() => {}));
    const host = await RawHost.connect(t, held);
    const process = await host.spawn();
    held.guest.isSilent = true;
    const calls = [
      host.call(Proc.SPAWN, spawnPayload()),
      host.call(Proc.SIGNAL, numbers(process, signals.SIGTERM)),
      host.call(Proc.READ_FILE, readFile('/etc/passwd')),
    ];
    await until(() => held.guest.of(Proc.READ_FILE, CALL).length > 0);
    held.guest.channel.destroy();
    for (const reply of await Promise.all(calls))
      assert.deepEqual([reply.status, errnoOf(reply)], [Status.ERROR, errno.ESRCH]);
    // What comes later is answered, too. A request for the end may still wait on this connection.
    assert.equal(errnoOf(await host.call(Proc.SPAWN, spawnPayload())), errno.ESRCH);
    assert.ok(!host.isClosed);
  });

  it('gives each host what is about its own processes', async (t) => {
    const { guest, one, other } = await withTwo(t);
    const [first, second] = [await one.spawn(), await other.spawn()];
    assert.notEqual(first, second);
    guest.say(
      stream(Proc.STDOUT, first, Buffer.from('a')),
      stream(Proc.STDERR, second, Buffer.from('b')),
      stream(Proc.STDOUT, first, new Uint8Array()),
      stdinTaken(second, 0),
      exit(first, 256),
      exit(second),
    );
    await one.until(() => one.of(Proc.EXIT, MESSAGE, first).length > 0);
    await other.until(() => other.of(Proc.EXIT, MESSAGE, second).length > 0);
    assert.deepEqual(one.of(Proc.STDOUT, DATA, first).map(String), ['a', '']);
    assert.equal(one.of(Proc.EXIT, MESSAGE, first)[0]?.readInt32BE(0), 256);
    assert.deepEqual(other.of(Proc.STDERR, DATA, second).map(String), ['b']);
    assert.ok(one.received.every(({ header }) => header.type === REPLY || header.serial !== second));
  });

  it("lets no host signal, feed or acknowledge another's process", async (t) => {
    const { guest, one, other } = await withTwo(t);
    const first = await one.spawn();
    const mine = await other.spawn();
    assert.equal(errnoOf(await other.call(Proc.SIGNAL, numbers(first, signals.SIGKILL))), errno.ESRCH);
    assert.equal(errnoOf(await other.call(Proc.RESIZE, numbers(first, 1, 1))), errno.ESRCH);
    other.send(Proc.STDIN, DATA, first, Buffer.from('x'));
    other.send(Proc.STDOUT, REPLY, first, numbers(1));
    assert.equal((await other.call(Proc.SIGNAL, numbers(mine, signals.SIGTERM))).status, Status.OK);
    assert.deepEqual([guest.signals(first), guest.signals(mine)], [[], [signals.SIGTERM]]);
    assert.deepEqual(guest.of(Proc.STDIN, DATA, first), []);
    assert.equal(guest.acknowledged(Proc.STDOUT, first), 0);
  });

  it('carries out nothing but what is about processes', async (t) => {
    const held = await holder(t);
    const host = await RawHost.connect(t, held);
    const { payload } = await host.call(Proc.SPAWN, spawnPayload(SpawnFlag.APPLICATION));
    assert.equal(payload.readUInt32BE(4), errno.EINVAL);
    assert.equal(errnoOf(await host.call(Proc.READ_FILE, readFile('/etc/shadow'))), errno.EACCES);
    for (const proc of [Proc.POWER_OFF, Proc.MOUNT, Proc.RUN, Proc.CONFIGURE, 79, 99])
      assert.equal(errnoOf(await host.call(proc, Buffer.alloc(0))), errno.ENOSYS, String(proc));
    assert.deepEqual(held.guest.sent, []);
    assert.equal((await host.call(Proc.READ_FILE, readFile('/etc/passwd'))).status, Status.OK);
  });

  it('ends what a host has started when it leaves', async (t) => {
    const { guest, one, other } = await withTwo(t);
    const [gone, stays] = [await one.spawn(), await other.spawn()];
    t.mock.timers.enable({ apis: ['setInterval'] });
    guest.say(stream(Proc.STDOUT, gone, Buffer.alloc(7)));
    await one.until(() => one.of(Proc.STDOUT, DATA, gone).length > 0);
    one.socket.destroy();
    await until(() => guest.signals(gone).length > 0);
    assert.deepEqual(guest.signals(gone), [signals.SIGHUP]);
    assert.deepEqual(guest.of(Proc.STDIN, DATA, gone).map(String), ['']);
    assert.equal(guest.acknowledged(Proc.STDOUT, gone), 7);
    guest.say(stream(Proc.STDOUT, gone, Buffer.alloc(9)));
    await until(() => guest.acknowledged(Proc.STDOUT, gone) === 16);
    t.mock.timers.tick(2000);
    assert.deepEqual(guest.signals(gone), [signals.SIGHUP, signals.SIGKILL]);
    guest.say(exit(gone));
    await until(() => guest.channel.processes === 1);
    t.mock.timers.tick(10_000);
    assert.deepEqual([guest.signals(gone).length, guest.signals(stays)], [2, []]);
  });

  it('ends what starts when its host has left already', async (t) => {
    const held = await holder(t);
    const host = await RawHost.connect(t, held);
    held.guest.isSilent = true;
    host.send(Proc.SPAWN, CALL, 1, spawnPayload());
    await until(() => held.guest.sent.length > 0);
    host.send(Proc.QUIT, MESSAGE, 0);
    await host.closed();
    held.guest.isSilent = false;
    held.guest.say(spawned(held.guest.sent[0]?.header.serial ?? 0, 5));
    await until(() => held.guest.signals(5).length > 0);
    held.guest.say(exit(5));
    await until(() => held.guest.channel.processes === 0);
  });

  it('lets live on what a host wants to keep', async (t) => {
    const { guest, one } = await withTwo(t);
    assert.equal((await one.call(Proc.CONTROL, request({ ask: 'keep' }))).status, Status.OK);
    const kept = await one.spawn();
    one.send(Proc.QUIT, MESSAGE, 0);
    await one.closed();
    guest.say(stream(Proc.STDOUT, kept, Buffer.alloc(3)));
    await until(() => guest.acknowledged(Proc.STDOUT, kept) === 3);
    assert.deepEqual(guest.signals(kept), []);
    assert.deepEqual(guest.of(Proc.STDIN, DATA, kept).map(String), ['']);
  });

  const nonsense: readonly [string, (host: RawHost, process: number) => void][] = [
    ['output', (host, process) => host.send(Proc.STDOUT, DATA, process, Buffer.from('x'))],
    ['the end of output', (host, process) => host.send(Proc.STDERR, DATA, process)],
    ['EXIT', (host, process) => host.send(Proc.EXIT, MESSAGE, process)],
    ['a type that there is not', (host) => host.send(Proc.STDIN, 9, 1)],
    ['a length that there is not', (host) => host.socket.write(Buffer.alloc(20, 0xff))],
    ['a short packet', (host) => host.socket.write(Buffer.alloc(20))],
    ['an acknowledgement of nothing', (host, process) => host.send(Proc.STDOUT, REPLY, process, numbers(1))],
    ['half an acknowledgement', (host, process) => host.send(Proc.STDOUT, REPLY, process, Buffer.alloc(3))],
    ['fields that are cut', (host) => host.send(Proc.READ_FILE, CALL, 1, numbers(400))],
    ['half a request', (host) => host.send(Proc.CONTROL, CALL, 1, numbers(7))],
    [
      'more stdin than it may',
      (host, process) => {
        for (let sent = 0; sent <= STDIN_WINDOW_BYTES; sent += 131_072)
          host.send(Proc.STDIN, DATA, process, Buffer.alloc(131_072));
      },
    ],
  ];
  for (const [what, send] of nonsense) {
    it(`closes the connection of a host that sends ${what}, and that alone`, async (t) => {
      const { guest, one, other } = await withTwo(t);
      const [first, second] = [await one.spawn(), await other.spawn()];
      send(one, first);
      await one.closed();
      await until(() => guest.signals(first).length > 0);
      assert.equal((await other.call(Proc.SIGNAL, numbers(second, 1))).status, Status.OK);
      assert.ok(guest.of(Proc.STDIN, DATA, first).reduce((sum, { length }) => sum + length, 0) <= STDIN_WINDOW_BYTES);
      guest.say(exit(first));
    });
  }

  it('closes a connection that does not greet', async (t) => {
    const held = await holder(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const silent = await RawHost.connect(t, held, { greets: false });
    const half = await RawHost.connect(t, held, { greets: false });
    half.socket.write(Uint8Array.of(HANDSHAKE_WAIT));
    half.socket.resume();
    await new Promise((resolve) => half.socket.once('data', resolve));
    t.mock.timers.tick(10_000);
    await Promise.all([silent.closed(), half.closed()]);
  });

  it('answers requests, refuses others, and answers those that wait before it ends', async (t) => {
    let end: (value: unknown) => void = () => {};
    const ended = new Promise((resolve) => {
      end = resolve;
    });
    const held = await holder(t, async (asked) => {
      if (asked.ask === 'wait') return ended;
      if (asked.ask === 'kill') throw new Refusal(errno.EINVAL, 'no');
      return asked;
    });
    const host = await RawHost.connect(t, held);
    const ask = async (value: unknown) => host.call(Proc.CONTROL, request(value));
    for (const bad of [{}, [], 7, { ask: 'x' }, { ask: 'stop' }, { ask: 'stop', timeoutMs: -1 }, { ask: 'wait', a: 1 }])
      assert.equal(errnoOf(await ask(bad)), errno.EINVAL, JSON.stringify(bad));
    assert.equal(errnoOf(await host.call(Proc.CONTROL, new FieldWriter().str('{').finish())), errno.EINVAL);
    assert.equal(errnoOf(await ask({ ask: 'kill', signal: 15 })), errno.EINVAL);
    const { payload } = await ask({ ask: 'stop', timeoutMs: 5 });
    const r = new FieldReader(payload);
    r.u32();
    assert.deepEqual(JSON.parse(r.str()), { ask: 'stop', timeoutMs: 5 });
    const waiting = ask({ ask: 'wait' });
    await ask({ ask: 'stats' });
    const closing = held.server.close();
    end({ done: 1 });
    assert.match(String((await waiting).payload), /\{"done":1\}$/);
    await Promise.all([closing, host.closed()]);
  });
});

/** The program connect-udp of the init: datagrams between a host's streams and a service of the sandbox. */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { constants } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { FULL_WINDOW_BYTES, Guest, u32 } from './driver.js';

const { errno } = constants;
const FAILED = 1 << 8;
const MOST_BYTES = 65_507;

async function service(t: TestContext, address = '127.0.0.1', port = 0): Promise<Socket> {
  const socket = createSocket(address === '::1' ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket;
}

async function next(socket: Socket): Promise<{ bytes: Buffer; from: RemoteInfo }> {
  const [bytes, from] = (await once(socket, 'message')) as [Buffer, RemoteInfo];
  return { bytes, from };
}

function record(bytes: Buffer | string): Buffer {
  return Buffer.concat([u32(Buffer.from(bytes).length), Buffer.from(bytes)]);
}

const start = (guest: Guest, port: number) =>
  guest.spawnBeside(['connect-udp', String(port)], { flags: SpawnFlag.BUILTIN });

async function connected(t: TestContext): Promise<{ guest: Guest; number: number; socket: Socket }> {
  const socket = await service(t);
  const guest = await Guest.start(t);
  return { guest, number: await start(guest, socket.address().port), socket };
}

async function ends(guest: Guest, number: number): Promise<void> {
  guest.stdinEnd(number);
  assert.equal(await guest.exit(number), 0);
  await guest.finish();
}

/** All datagrams on its stdout. */
function datagrams(guest: Guest, number: number): Buffer[] {
  const found: Buffer[] = [];
  let rest = guest.output(Proc.STDOUT, number);
  while (rest.length >= 4 && rest.length - 4 >= rest.readUInt32BE(0)) {
    const end = 4 + rest.readUInt32BE(0);
    found.push(rest.subarray(4, end));
    rest = rest.subarray(end);
  }
  return found;
}

describe('connect-udp', { timeout: 60_000 }, () => {
  test('carries datagrams both ways, of every size', async (t) => {
    const { guest, number, socket } = await connected(t);
    const sizes = [1, 0, 1400, MOST_BYTES];
    for (const [at, size] of sizes.entries()) {
      const sent = Buffer.alloc(size, at + 1);
      const come = next(socket);
      guest.stdin(record(sent), number);
      const { bytes, from } = await come;
      assert.ok(bytes.equals(sent));
      socket.send(bytes, from.port, from.address);
      await guest.until(() => datagrams(guest, number).length > at, 'an answer');
      assert.ok(datagrams(guest, number)[at]?.equals(sent));
    }
    await ends(guest, number);
  });

  test('records that come in pieces, and many in one', async (t) => {
    const { guest, number, socket } = await connected(t);
    const heard: string[] = [];
    socket.on('message', (bytes) => heard.push(bytes.toString()));
    const wanted = Array.from({ length: 20 }, (_, at) => `datagram ${at}`);
    const bytes = Buffer.concat(wanted.map(record));
    for (const cut of [bytes.subarray(0, 2), bytes.subarray(2, 9), bytes.subarray(9)]) guest.stdin(cut, number);
    while (heard.length < wanted.length) await once(socket, 'message');
    assert.deepEqual(heard, wanted);
    await ends(guest, number);
  });

  test('a service at ::1 only, and one that comes later', async (t) => {
    const six = await service(t, '::1');
    const { port } = six.address();
    const guest = await Guest.start(t);
    const number = await start(guest, port);
    const first = next(six);
    guest.stdin(record('one'), number);
    assert.equal((await first).bytes.toString(), 'one');
    // Nobody listens at either address of this one.
    const gone = createSocket('udp4').bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const later = gone.address().port;
    await new Promise<void>((resolve) => gone.close(resolve));
    const second = await start(guest, later);
    guest.stdin(record('lost'), second);
    const socket = await service(t, '127.0.0.1', later);
    const come = next(socket);
    // What was refused is told behind some of these.
    const again = setInterval(() => guest.stdin(record('two'), second), 20);
    t.after(() => clearInterval(again));
    assert.match((await come).bytes.toString(), /two|lost/);
    clearInterval(again);
    for (const each of [number, second]) {
      guest.stdinEnd(each);
      assert.equal(await guest.exit(each), 0);
    }
    await guest.finish();
  });

  test('only the service is heard', async (t) => {
    const { guest, number, socket } = await connected(t);
    const come = next(socket);
    guest.stdin(record('who'), number);
    const { from } = await come;
    const stranger = await service(t);
    await new Promise((resolve) => stranger.send('not I', from.port, from.address, resolve));
    socket.send('I', from.port, from.address);
    await guest.until(() => datagrams(guest, number).length > 0, 'an answer');
    assert.equal(datagrams(guest, number)[0]?.toString(), 'I');
    await ends(guest, number);
  });

  test('what is no record ends it', async (t) => {
    const { guest, number, socket } = await connected(t);
    const failing = async (process: number, what: string) => {
      assert.equal(await guest.exit(process), FAILED);
      const said = guest.output(Proc.STDERR, process);
      assert.deepEqual([said.readUInt32BE(0), said.subarray(4).toString()], [errno.EPROTO, what]);
    };
    guest.stdin(u32(MOST_BYTES + 1), number);
    await failing(number, `a datagram of ${MOST_BYTES + 1} bytes`);
    const huge = await start(guest, socket.address().port);
    guest.stdin(Buffer.alloc(10, 0xff), huge);
    await failing(huge, 'a datagram of 4294967295 bytes');
    const cut = await start(guest, socket.address().port);
    guest.stdin(record('cut').subarray(0, 5), cut);
    guest.stdinEnd(cut);
    await failing(cut, 'a part of a datagram');
    for (const port of ['0', '65536', 'x']) {
      const none = await guest.spawnBeside(['connect-udp', port], { flags: SpawnFlag.BUILTIN });
      assert.equal(await guest.exit(none), FAILED);
      assert.equal(guest.output(Proc.STDERR, none).readUInt32BE(0), errno.EINVAL);
    }
    await guest.finish();
  });

  test('a host that does not read: what comes meanwhile is lost, and each that it gets is whole', async (t) => {
    const { guest, number, socket } = await connected(t);
    guest.acknowledges = false;
    const come = next(socket);
    guest.stdin(record('ready'), number);
    const { from } = await come;
    const send = (bytes: Buffer) => new Promise((resolve) => socket.send(bytes, from.port, from.address, resolve));
    while (guest.output(Proc.STDOUT, number).length < FULL_WINDOW_BYTES) {
      await send(Buffer.alloc(10_000, 'early'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Far more than the pipe and the kernel keep.
    const sent = 200;
    for (let count = 0; count < sent; count += 1) await send(Buffer.alloc(10_000, 'late'));
    guest.acknowledges = true;
    guest.acknowledge(Proc.STDOUT, guest.output(Proc.STDOUT, number).length, number);
    // Behind all of them, as soon as there is room.
    const last = setInterval(() => socket.send('last', from.port, from.address), 20);
    t.after(() => clearInterval(last));
    await guest.until(() => datagrams(guest, number).at(-1)?.toString() === 'last', 'the last one');
    clearInterval(last);
    const heard = datagrams(guest, number).map(String);
    const late = Buffer.alloc(10_000, 'late').toString();
    assert.ok(heard.filter((each) => each === late).length < sent, 'nothing was lost');
    const whole = [Buffer.alloc(10_000, 'early').toString(), late, 'last'];
    assert.ok(heard.every((each) => whole.includes(each)));
    await ends(guest, number);
  });

  test('is no client of itself', { skip: process.geteuid?.() !== 0 && 'needs root' }, async (t) => {
    // The only port that the kernel can choose there is the service's, at which nobody listens.
    const only = 'ip link set lo up && echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range && exec "$0" "$@"';
    const guest = await Guest.start(t, { through: ['unshare', '-n', 'sh', '-ec', only] });
    const number = await start(guest, 40_000);
    guest.stdin(record('echo?'), number);
    assert.equal(await guest.exit(number), FAILED);
    assert.equal(guest.output(Proc.STDOUT, number).length, 0);
    assert.equal(guest.output(Proc.STDERR, number).readUInt32BE(0), errno.EAGAIN);
    await guest.finish();
  });
});

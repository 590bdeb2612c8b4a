/** The program `connect` of the init: bytes between a host's streams and a service of the sandbox. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { constants } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { FULL_WINDOW_BYTES, Guest, u32 } from './driver.js';

const { errno } = constants;
const FAILED = 1 << 8;
/** On stderr: the service has ended its direction. */
const ENDED = u32(0);

/** A server, and each connection to it. */
async function service(t: TestContext, host = '127.0.0.1'): Promise<{ port: number; next: () => Promise<Socket> }> {
  const waiting: ((socket: Socket) => void)[] = [];
  const come: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    const taker = waiting.shift();
    if (taker) taker(socket);
    else come.push(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  const next = async () => come.shift() ?? new Promise<Socket>((resolve) => waiting.push(resolve));
  return { port: (server.address() as AddressInfo).port, next };
}

async function connected(t: TestContext): Promise<{ guest: Guest; number: number; socket: Socket }> {
  const { port, next } = await service(t);
  const guest = await Guest.start(t);
  const number = await guest.spawnBeside(['connect', String(port)], { flags: SpawnFlag.BUILTIN });
  return { guest, number, socket: await next() };
}

/** What a program that ended in a failure said: what came before, and the report. */
function report(guest: Guest, number: number, ended = false): { errno: number; what: string } {
  const said = guest.output(Proc.STDERR, number);
  const at = ended ? ENDED.length : 0;
  if (ended) assert.ok(said.subarray(0, at).equals(ENDED));
  return { errno: said.readUInt32BE(at), what: said.subarray(at + 4).toString() };
}

/** A Node.js program that listens, says its port, and accepts nobody. Two clients fill its queue. */
const DEAF = `
const server = require('node:net').createServer();
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
  require('node:fs').writeSync(1, server.address().port + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;

async function deafService(t: TestContext): Promise<number> {
  const child = spawn(process.execPath, ['-e', DEAF], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(said);
  for (let count = 0; count < 2; count += 1) {
    const client = connect(port, '127.0.0.1');
    t.after(() => client.destroy());
    client.on('error', () => {});
    await once(client, 'connect');
  }
  return port;
}

/** KiB of memory of a process that one forked from it does not have. */
function notForked(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return mappings
    .filter((text) => /^VmFlags:.* dc( |$)/m.test(text))
    .reduce((sum, text) => sum + Number(/^Size: +(\d+)/m.exec(text)?.[1]), 0);
}

function children(guest: Guest): number[] {
  const { pid } = guest.process;
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

/** Clock ticks that a process has used. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

describe('connect', () => {
  test('carries bytes both ways, and each end by itself', async (t) => {
    const { guest, number, socket } = await connected(t);
    guest.stdin('ping', number);
    const [first] = (await once(socket, 'data')) as [Buffer];
    assert.equal(first.toString(), 'ping');
    guest.stdinEnd(number);
    await once(socket, 'end');
    socket.write('pong');
    await guest.outputHas(Proc.STDOUT, 'pong', number);
    assert.equal(guest.outputEnded(Proc.STDOUT, number), false);
    assert.equal(guest.output(Proc.STDERR, number).length, 0);
    socket.end('!');
    assert.equal(await guest.exit(number), 0);
    assert.equal(guest.output(Proc.STDOUT, number).toString(), 'pong!');
    assert.deepEqual(guest.output(Proc.STDERR, number), ENDED);
    await guest.finish();
  });

  test('goes on to send when the service has ended its direction', async (t) => {
    const { guest, number, socket } = await connected(t);
    socket.end('done');
    await guest.until(() => guest.outputEnded(Proc.STDOUT, number), 'the end of stdout');
    await guest.until(() => guest.output(Proc.STDERR, number).equals(ENDED), 'the report of no error');
    guest.stdin('more', number);
    const [more] = (await once(socket, 'data')) as [Buffer];
    assert.equal(more.toString(), 'more');
    guest.stdinEnd(number);
    assert.equal(await guest.exit(number), 0);
    await guest.finish();
  });

  test('carries 8 MiB both ways at once', async (t) => {
    const { guest, number, socket } = await connected(t);
    const sent = Buffer.alloc(8 << 20, Buffer.from(Array.from({ length: 1009 }, (_, at) => at % 251)));
    const digest = createHash('sha256').update(sent).digest('hex');
    const heard = createHash('sha256');
    socket.on('data', (chunk) => heard.update(chunk));
    socket.end(sent);
    let at = 0;
    while (at < sent.length) {
      await guest.until(() => guest.acknowledgedOf(number) > at - 400_000, 'room in stdin');
      guest.stdin(sent.subarray(at, at + 100_000), number);
      at += 100_000;
    }
    guest.stdinEnd(number);
    await once(socket, 'end');
    assert.equal(heard.digest('hex'), digest);
    assert.equal(await guest.exit(number), 0);
    assert.equal(createHash('sha256').update(guest.output(Proc.STDOUT, number)).digest('hex'), digest);
    await guest.finish();
  });

  test('a service at ::1 only', async (t) => {
    const { port, next } = await service(t, '::1');
    const guest = await Guest.start(t);
    const number = await guest.spawnBeside(['connect', String(port)], { flags: SpawnFlag.BUILTIN });
    const socket = await next();
    assert.equal(socket.remoteAddress, '::1');
    socket.end();
    guest.stdinEnd(number);
    assert.equal(await guest.exit(number), 0);
    await guest.finish();
  });

  test('no service there, and what is no port', async (t) => {
    const guest = await Guest.start(t);
    const failing = async (port: string) => {
      const number = await guest.spawnBeside(['connect', port], { flags: SpawnFlag.BUILTIN });
      assert.equal(await guest.exit(number), FAILED);
      return report(guest, number);
    };
    // Nobody listens at port 1 (tcpmux) of a machine that runs tests.
    assert.deepEqual(await failing('1'), { errno: errno.ECONNREFUSED, what: 'connect(127.0.0.1:1)' });
    assert.deepEqual(await failing('0'), { errno: errno.EINVAL, what: 'port 0' });
    for (const port of ['65536', '99999999999999999999999', '-1', '+1', ' 1', '1x', ''])
      assert.deepEqual(await failing(port), { errno: errno.EINVAL, what: `a number: ${port}` });
    await guest.finish();
  });

  test('a service that accepts nobody is given up after five seconds', async (t) => {
    const port = await deafService(t);
    const guest = await Guest.start(t);
    const begun = performance.now();
    const number = await guest.spawnBeside(['connect', String(port)], { flags: SpawnFlag.BUILTIN });
    assert.equal(await guest.exit(number), FAILED);
    assert.deepEqual(report(guest, number), { errno: errno.ETIMEDOUT, what: `connect(127.0.0.1:${port})` });
    assert.ok(performance.now() - begun >= 4900);
    await guest.finish();
  });

  test('a connection to itself is none', { skip: process.geteuid?.() !== 0 && 'needs root' }, async (t) => {
    // The only port that the kernel can choose there is the one that is connected to.
    const only = 'ip link set lo up && echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range && exec "$0" "$@"';
    const guest = await Guest.start(t, { through: ['unshare', '-n', 'sh', '-ec', only] });
    const number = await guest.spawnBeside(['connect', '40000'], { flags: SpawnFlag.BUILTIN });
    assert.equal(await guest.exit(number), FAILED);
    assert.deepEqual(report(guest, number), { errno: errno.ECONNREFUSED, what: 'connect(127.0.0.1:40000)' });
    await guest.finish();
  });

  test('has none of the buffers for stdin of processes', async (t) => {
    const { guest } = await connected(t);
    const [child = 0] = children(guest);
    assert.equal(notForked(guest.process.pid ?? 0), 512);
    assert.equal(notForked(child), 0);
    await guest.finish();
  });

  test('a service that resets the connection: what came before is there, and no end of it', async (t) => {
    const { guest, number, socket } = await connected(t);
    socket.write('before', () => socket.resetAndDestroy());
    assert.equal(await guest.exit(number), FAILED);
    assert.equal(guest.output(Proc.STDOUT, number).toString(), 'before');
    assert.equal(report(guest, number).errno, errno.ECONNRESET);
    await guest.finish();
  });

  test('a reset after the end of one direction, while nothing is sent', async (t) => {
    const { guest, number, socket } = await connected(t);
    socket.end();
    await guest.until(() => guest.outputEnded(Proc.STDOUT, number), 'the end of stdout');
    // It is seen though nothing is to be read or written.
    socket.resetAndDestroy();
    assert.equal(await guest.exit(number), FAILED);
    assert.equal(report(guest, number, true).errno, errno.ECONNRESET);
    await guest.finish();
  });

  test('a host that does not read: the service waits, and a reset is told behind what it sent', async (t) => {
    const { guest, number, socket } = await connected(t);
    guest.acknowledges = false;
    const block = Buffer.alloc(1 << 20, 'block ');
    // A window, a pipe, a buffer and what the kernel holds of a connection: then it takes no more.
    let accepted = 0;
    while (socket.write(block) || socket.writableLength < 8 << 20) {
      accepted++;
      assert.ok(accepted < 100, 'the service can write without end');
    }
    await guest.until(() => guest.output(Proc.STDOUT, number).length >= FULL_WINDOW_BYTES, 'a window of output');
    const before = socket.bytesWritten - socket.writableLength;
    assert.ok(before < 16 << 20, `${before} bytes are on their way`);
    socket.resetAndDestroy();
    guest.acknowledges = true;
    guest.acknowledge(Proc.STDOUT, guest.output(Proc.STDOUT, number).length, number);
    assert.equal(await guest.exit(number), FAILED);
    assert.equal(report(guest, number).errno, errno.ECONNRESET);
    await guest.finish();
  });

  test('a reset that is seen first by a write', async (t) => {
    const { guest, number, socket } = await connected(t);
    await guest.signal(constants.signals.SIGSTOP, number);
    guest.stdin('too late', number);
    socket.resetAndDestroy();
    await once(socket, 'close');
    // The write takes the error, and the read behind it looks like an end.
    await guest.signal(constants.signals.SIGCONT, number);
    assert.equal(await guest.exit(number), FAILED);
    assert.equal(report(guest, number).errno, errno.ECONNRESET);
    await guest.finish();
  });

  test('a service that does not read: stdin waits, and output still comes', async (t) => {
    const { guest, number, socket } = await connected(t);
    socket.pause();
    // All that the window allows, again and again, until nothing more is taken.
    const block = Buffer.alloc(100_000);
    for (let sent = 0; sent < 524_288 - block.length; sent += block.length) guest.stdin(block, number);
    socket.write('still here');
    await guest.outputHas(Proc.STDOUT, 'still here', number);
    await guest.signal(constants.signals.SIGKILL, number);
    assert.equal(await guest.exit(number), constants.signals.SIGKILL);
    await guest.finish();
  });

  test('a kill resets the connection', async (t) => {
    const { guest, number, socket } = await connected(t);
    const how = new Promise((resolve) => {
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      socket.once('end', () => resolve('an end'));
    });
    socket.resume();
    await guest.signal(constants.signals.SIGKILL, number);
    assert.equal(await how, 'ECONNRESET');
    await guest.finish();
  });

  test('one that waits uses no processor', async (t) => {
    const { port, next } = await service(t);
    const guest = await Guest.start(t);
    const start = async () => {
      const reply = await guest.spawnBeside(['connect', String(port)], { flags: SpawnFlag.BUILTIN });
      return { number: reply, socket: await next() };
    };
    // Nothing said; an end from the service; an end from the host; output that nobody takes, with either end.
    await start();
    const ended = await start();
    ended.socket.end();
    await guest.until(() => guest.outputEnded(Proc.STDOUT, ended.number), 'the end of stdout');
    const half = await start();
    guest.stdinEnd(half.number);
    await once(half.socket.resume(), 'end');
    guest.acknowledges = false;
    for (const withEnd of [false, true]) {
      const flooding = await start();
      if (withEnd) guest.stdinEnd(flooding.number);
      if (withEnd) await once(flooding.socket.resume(), 'end');
      // A window, the pipe and a buffer are full, and what the kernel has behind them holds the rest and the end.
      flooding.socket.end(Buffer.alloc((2 << 20) + (1 << 16) + 20_000));
      await guest.until(
        () => guest.output(Proc.STDOUT, flooding.number).length >= FULL_WINDOW_BYTES,
        'a window of output',
      );
    }
    const before = children(guest).map(ticks);
    assert.equal(before.length, 5);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const used = children(guest).map((pid, at) => ticks(pid) - (before[at] ?? 0));
    // A loop would take most of 50.
    assert.ok(
      used.every((each) => each < 10),
      `ticks: ${used.join(' ')}`,
    );
    await guest.finish();
  });
});

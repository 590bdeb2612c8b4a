/** Published ports: real clients, and a guest that is played. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { Proc, STDIN_WINDOW_BYTES } from '../../../../src/protocol/wire.js';
import type { PublishedPort } from '../../../../src/sandbox/publish/published-port.js';
import { TcpServer } from '../../../../src/sandbox/publish/tcp-server.js';
import { stream } from '../../protocol/guest.js';
import { client, countsConnections, endOf, fillOutput, listening, published } from './clients.js';
import { PlayedGuest } from './guest.js';

const { ECONNREFUSED } = constants.errno;

async function isFree(port: PublishedPort): Promise<boolean> {
  const server = createServer().listen({ host: port.address, port: port.hostPort });
  await once(server, 'listening');
  server.close();
  return true;
}

describe('a published port', () => {
  test('is a URL of the loopback address', async (t) => {
    const { port } = await published(t);
    assert.equal(String(port), `http://127.0.0.1:${port.hostPort}/`);
    assert.deepEqual([port.guestPort, port.address], [80, '127.0.0.1']);
    assert.ok(port.hostPort > 0);
    const six = await new PlayedGuest().publisher.publish(443, { host: '::1' });
    t.after(() => six.close());
    assert.equal(six.href, `http://[::1]:${six.hostPort}/`);
  });

  test('carries both directions, and each end by itself', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    socket.end('question');
    await guest.until(() => program.stdinEnded);
    assert.equal(program.received.toString(), 'question');
    program.send('ans');
    program.send('wer');
    program.endOutput();
    assert.equal((await buffer(socket)).toString(), 'answer');
    program.exit();
    assert.deepEqual(guest.killed, []);
  });

  test('the service ends first, and the client goes on', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    program.endOutput();
    assert.equal(await endOf(socket), 'end');
    const closed = once(socket, 'close');
    socket.end('more');
    await guest.until(() => program.stdinEnded);
    assert.equal(program.received.toString(), 'more');
    await closed;
    // The client is gone; what it has sent may still be on its way inside.
    assert.deepEqual(guest.killed, []);
    program.exit();
  });

  test('nobody listens inside: the connection is reset', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    (await guest.program(1)).fail(ECONNREFUSED);
    assert.equal(await endOf(socket), 'ECONNRESET');
  });

  test('output that was cut off does not look like all of it', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    program.send('half');
    const [half] = (await once(socket, 'data')) as [Buffer];
    program.endOutput(false);
    program.fail(ECONNREFUSED);
    assert.equal(half.toString(), 'half');
    assert.equal(await endOf(socket), 'ECONNRESET');
  });

  test('a reset behind the end of one direction', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    program.endOutput();
    assert.equal(await endOf(socket), 'end');
    const how = new Promise((resolve) => socket.once('close', (hadError) => resolve(hadError)));
    program.exit(1 << 8);
    // A write is how a client sees it.
    while (!socket.destroyed) await new Promise((resolve) => socket.write('x', resolve));
    assert.equal(await how, true);
  });

  test('a guest that says early that all has ended', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    program.endOutput();
    assert.equal(await endOf(socket), 'end');
    program.exit();
    // It would go on to send, to nobody. A write is how a client sees that.
    for (let writes = 0; !socket.destroyed; writes += 1) {
      assert.ok(writes < 1000, 'it is still open');
      await new Promise((resolve) => socket.write('x', resolve));
    }
  });

  test('an error of accept() ends nothing', async (t) => {
    const server = listening(t);
    const { guest, port } = await published(t);
    server().emit('error', new Error('accept ENOBUFS'));
    await client(t, port);
    await guest.program(1);
    await port.close();
    assert.ok(await isFree(port));
  });

  test('the kernel asks for clients that say nothing', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    await guest.program(1);
    const hex = (of = 0) => of.toString(16).toUpperCase().padStart(4, '0');
    const ends = `:${hex(port.hostPort)} 0100007F:${hex(socket.localPort)}`;
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .find((each) => each.includes(ends));
    // The timer of the connection, proc_pid_net(5): 2 is that of keep-alive.
    assert.match(line ?? '', / 0{8}:0{8} 02:/);
  });

  test('a client that resets kills the program', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    await guest.program(1);
    socket.resetAndDestroy();
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
  });

  test('a service that does not read holds up its client', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    // More than kernels keep of a connection.
    socket.write(Buffer.alloc(64 << 20));
    await guest.until(() => program.received.length === STDIN_WINDOW_BYTES);
    // What comes is answered by this process: it has had many turns by then.
    const other = await client(t, port);
    other.end('x');
    const second = await guest.program(2);
    await guest.until(() => second.stdinEnded);
    assert.equal(program.received.length, STDIN_WINDOW_BYTES);
    assert.ok(socket.writableLength > 0);
    program.take(STDIN_WINDOW_BYTES);
    await guest.until(() => program.received.length === 2 * STDIN_WINDOW_BYTES);
  });

  test('a client that does not read holds up its service', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    const sent = await fillOutput(guest, program);
    program.endOutput();
    let received = 0;
    for await (const chunk of socket as AsyncIterable<Buffer>) received += chunk.length;
    assert.equal(received, sent);
  });

  test('close() kills a program whose client has ended both ways', async (t) => {
    const open = countsConnections(t);
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    const program = await guest.program(1);
    socket.end('never read');
    program.endOutput();
    assert.equal(await endOf(socket), 'end');
    await open(0);
    assert.deepEqual(guest.killed, []);
    await port.close();
    await guest.until(() => guest.killed.length > 0);
    assert.deepEqual(guest.killed, [1]);
  });

  test('a guest that lies loses everything, and leaves nothing', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    await guest.program(1);
    guest.say(stream(Proc.STDOUT, 77, Buffer.from('of nobody')));
    assert.equal(await endOf(socket), 'ECONNRESET');
    await port.closed;
    assert.ok(await isFree(port));
  });

  test('closes with its sandbox, and none is published behind that', async (t) => {
    const { guest, port } = await published(t);
    const socket = await client(t, port);
    await guest.program(1);
    guest.end();
    assert.equal(await endOf(socket), 'ECONNRESET');
    await port.closed;
    assert.ok(await isFree(port));
    await assert.rejects(guest.publisher.publish(80, {}), { code: 'sandbox-ended' });
  });

  test('close() and the signal free the port and reset its clients', async (t) => {
    const abort = new AbortController();
    const guest = new PlayedGuest();
    const ways = [
      [(port: PublishedPort) => port.close(), {}],
      [() => abort.abort(), { signal: abort.signal }],
    ] as const;
    for (const [at, [end, options]] of ways.entries()) {
      const port = await guest.publisher.publish(80, options);
      const socket = await client(t, port);
      await guest.program(at + 1);
      void end(port);
      assert.equal(await endOf(socket), 'ECONNRESET');
      await port.closed;
      assert.ok(await isFree(port));
      // Again, for nothing.
      await port.close();
    }
    assert.equal(guest.killed.length, 2);
    await assert.rejects(guest.publisher.publish(80, { signal: abort.signal }), { name: 'AbortError' });
  });

  test('closes a port that is served when the sandbox has ended', async () => {
    const guest = new PlayedGuest();
    const server = await TcpServer.listen('127.0.0.1', 0);
    guest.end();
    await assert.rejects(guest.publisher.publish(80, {}), { code: 'sandbox-ended' });
    const port = guest.publisher.serve(server, 80);
    await port.closed;
    assert.ok(await isFree(port));
  });

  test('refuses what it cannot listen at, and values of wrong types', async (t) => {
    const { guest, port } = await published(t);
    const { publisher } = guest;
    await assert.rejects(publisher.publish(80, { hostPort: port.hostPort }), {
      code: 'port-taken',
      message: `TCP port ${port.hostPort} of 127.0.0.1 is taken`,
    });
    await assert.rejects(publisher.publish(80, { host: '192.0.2.1' }), { code: 'address-not-here' });
    for (const wrong of [0, 65_536, 1.5, '80', undefined])
      await assert.rejects(publisher.publish(wrong as number, {}), { code: 'config-value-invalid' });
    for (const wrong of [{ host: 'localhost' }, { hostPort: -1 }, { hostPort: 65_536 }, { signal: 1 }])
      await assert.rejects(publisher.publish(80, wrong as object), { code: 'config-value-invalid' });
    await assert.rejects(publisher.publish(80, { path: '/x' } as object), { code: 'config-key-unknown' });
  });
});

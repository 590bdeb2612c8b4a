/** The client's end of RFB, with servers that speak it, and others that say what they like. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MOST_READ, RfbConnection, RfbError, type RfbFault } from '../../../src/rfb/connection.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const XTIGERVNC = '/usr/bin/Xtigervnc';
const VERSION = Buffer.from('RFB 003.008\n');
const LET_IN = Buffer.concat([VERSION, Buffer.of(2, 2, 1), Buffer.alloc(4)]);

/** The two ends of a connection. */
async function connected(t: TestContext): Promise<{ client: Socket; server: Socket }> {
  const path = join(scratchDirectory(t), 'socket');
  const listening = createServer();
  await once(listening.listen(path), 'listening');
  const connecting = once(listening, 'connection') as Promise<[Socket]>;
  const client = new Socket().connect(path);
  const [server] = await connecting;
  listening.close();
  server.on('error', () => {});
  t.after(() => {
    client.destroy();
    server.destroy();
  });
  return { client, server };
}

function greeting(width: number, height: number, name: string): Buffer {
  const said = Buffer.alloc(24);
  said.writeUInt16BE(width, 0);
  said.writeUInt16BE(height, 2);
  said.writeUInt32BE(name.length, 20);
  return Buffer.concat([said, Buffer.from(name)]);
}

async function rejects(promise: Promise<unknown>, fault: RfbFault, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof RfbError, String(error));
    assert.equal(error.fault, fault, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('a server lets in who asks for no password', async (t) => {
  const { client, server } = await connected(t);
  const opening = RfbConnection.open(client);
  // In pieces, as a slow one would.
  for (const byte of Buffer.concat([LET_IN, greeting(1280, 800, 'a desktop')])) server.write(Buffer.of(byte));
  const connection = await opening;
  assert.deepEqual([connection.width, connection.height, connection.name], [1280, 800, 'a desktop']);
  const answered = Buffer.concat([VERSION, Buffer.of(1, 1)]);
  while (server.readableLength < answered.length) {
    server.read(0);
    await once(server, 'readable');
  }
  assert.deepEqual(server.read(), answered);
  server.write('abcdefgh');
  assert.equal(String(await connection.read(2)), 'ab');
  assert.equal((await connection.read(0)).length, 0);
  await connection.skip(3);
  server.end('ij');
  // What was sent before the end is there.
  assert.equal(String(await connection.read(5)), 'fghij');
  await rejects(connection.read(1), 'closed', /has closed/);
  await rejects(connection.write(Buffer.of(1)), 'closed', /has closed/);
  assert.equal(connection.failure?.fault, 'closed');
});

const said: readonly (readonly [string, Buffer, RfbFault, RegExp])[] = [
  ['another version', Buffer.from('RFB 003.003\n'), 'protocol', /speaks another protocol: "RFB 003\.003\\n"/],
  ['another protocol', Buffer.from('\x1b[2JHTTP/1.1 400\n'), 'protocol', /another protocol: "\\u001b\[2J/],
  ['that it wants a password', Buffer.concat([VERSION, Buffer.of(1, 2)]), 'refused', /asks for a password/],
  [
    'why it lets nobody in',
    Buffer.concat([VERSION, Buffer.of(0, 0, 0, 0, 4), Buffer.from('busy')]),
    'refused',
    /lets nobody in: busy/,
  ],
  [
    'that it does not let in this one',
    Buffer.concat([VERSION, Buffer.of(1, 1, 0, 0, 0, 1, 0, 0, 0, 3), Buffer.from('too')]),
    'refused',
    /lets nobody in: too/,
  ],
  ['an endless reason', Buffer.concat([VERSION, Buffer.of(0, 255, 255, 255, 255)]), 'bound', /of 4294967295 bytes/],
  ['a huge screen', Buffer.concat([LET_IN, greeting(4096, 800, '')]), 'bound', /a screen of 4096x800/],
  ['no screen', Buffer.concat([LET_IN, greeting(0, 0, '')]), 'bound', /a screen of 0x0/],
  ['a huge name', Buffer.concat([LET_IN, greeting(800, 600, 'x'.repeat(1025))]), 'bound', /of 1025 bytes/],
];
for (const [what, bytes, fault, message] of said)
  test(`a server that says ${what} is left`, async (t) => {
    const { client, server } = await connected(t);
    server.write(bytes);
    await rejects(RfbConnection.open(client), fault, message);
    assert.ok(client.destroyed);
  });

test('a server that says nothing, or too slowly, is left in time', async (t) => {
  const { client, server } = await connected(t);
  server.write(VERSION.subarray(0, 1));
  // The limit is that of the whole read, however often something comes.
  const timer = setInterval(() => void server.write(VERSION.subarray(1, 2)), 150);
  t.after(() => clearInterval(timer));
  await rejects(RfbConnection.open(client, { timeoutMs: 500 }), 'timeout', /stands still for 500 ms/);
});

test('a server that reads nothing is left in time', async (t) => {
  const { client, server } = await connected(t);
  server.pause().write(Buffer.concat([LET_IN, greeting(800, 600, '')]));
  const connection = await RfbConnection.open(client, { timeoutMs: 500 });
  await rejects(connection.write(Buffer.alloc(4 << 20)), 'timeout', /stands still/);
  await rejects(connection.read(1), 'timeout', /stands still/);
});

test('a server that floods is read no faster than it is asked for', async (t) => {
  const { client, server } = await connected(t);
  server.write(Buffer.concat([LET_IN, greeting(800, 600, '')]));
  const connection = await RfbConnection.open(client);
  const piece = Buffer.alloc(1 << 16, 'x');
  let written = 0;
  const flood = () => {
    for (; written < 64 << 20; written += piece.length) if (!server.write(piece)) return;
  };
  server.on('drain', flood);
  flood();
  // When the kernel holds what it may, no more is taken.
  for (let before = -1; before !== written; ) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(written < 8 << 20, `${written} bytes`);
  await connection.skip(10 << 20);
  assert.equal((await connection.read(MOST_READ)).length, MOST_READ);
  await rejects(connection.read(MOST_READ + 1), 'bound', /sends 1048577 bytes at once/);
});

test('who waits for a server hears that the connection is closed', async (t) => {
  const { client, server } = await connected(t);
  server.write(Buffer.concat([LET_IN, greeting(800, 600, '')]));
  const connection = await RfbConnection.open(client);
  const reading = connection.read(1);
  connection.close();
  await rejects(reading, 'closed', /was closed/);
  connection.close(new RfbError('bound', 'later'));
  assert.equal(connection.failure?.message, 'the connection was closed');
});

test('a real server is one', { skip: !existsSync(XTIGERVNC) && `${XTIGERVNC} is missing` }, async (t) => {
  const path = join(scratchDirectory(t), 'vnc');
  const words = [
    '-displayfd',
    '1',
    '-geometry',
    '640x480',
    '-SecurityTypes',
    'None',
    '-rfbport',
    '-1',
    '-nolisten',
    'tcp',
  ];
  const server: ChildProcess = spawn(XTIGERVNC, [...words, '-rfbunixpath', path, '-desktop', 'näme'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => server.kill());
  assert.ok(server.stdout);
  await once(server.stdout, 'data');
  const connection = await RfbConnection.open(connect(path), { timeoutMs: 60_000 });
  t.after(() => connection.close());
  assert.deepEqual([connection.width, connection.height, connection.name], [640, 480, 'näme']);
});

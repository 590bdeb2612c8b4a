/** Published ports: a real service inside, and real clients on this host, over every way to libvirt. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { connectSandbox } from '../../src/control/connect.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { endDetached } from '../helpers/ctl.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';

/** How many requests, and mebibytes each way. */
const [REQUESTS, MEBIBYTES] = [60, 4];

/** What publishing.ts prints. @returns the name of its sandbox */
async function publish(uri: string, options: RunOptions): Promise<string> {
  const program = `${REPOSITORY}build/test/helpers/publishing.js`;
  const result = await runSandbox([program, uri, String(REQUESTS), String(MEBIBYTES)], {
    ...options,
    program: process.execPath,
    timeout: 300_000,
  });
  assert.equal(result.code, 0, result.stderr);
  const { name, ...said } = JSON.parse(result.out) as Record<string, unknown>;
  assert.deepEqual(said, {
    url: true,
    echo: 'hello',
    six: 'six',
    reset: 'ECONNRESET',
    refused: 'ECONNRESET',
    other: ['ECONNREFUSED'],
    udp: 'hello',
    udpLarge: true,
    udpClients: 20,
    udpOther: ['ECONNREFUSED'],
    taken: 'port-taken',
    whole: REQUESTS,
    up: true,
    down: true,
    cut: 'ECONNRESET',
    gone: 'ECONNREFUSED',
    late: 'sandbox-ended',
    udpGone: 'ECONNREFUSED',
  });
  return String(name);
}

for (const way of [embedded, system, lxc]) {
  it(`over ${way.uri}`, { skip: way.skip }, async () => {
    await assertNothingLeft(await publish(way.uri, way.options), way.where);
  });
}

/** Answers a connection and a datagram with what it hears. */
const ECHO = `
require('node:net').createServer((socket) => socket.pipe(socket)).listen(8000, '127.0.0.1', () => {
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address));
  udp.bind(8000, '127.0.0.1', () => console.log('listening'));
});
`;

async function overTcp(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.end('hello');
  return text(socket).catch(({ code }: NodeJS.ErrnoException) => String(code));
}

async function overUdp(port: number): Promise<string> {
  const socket = createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(30_000) });
  socket.send('hello');
  const said = await answer.then(
    ([bytes]) => String(bytes),
    ({ code }: NodeJS.ErrnoException) => String(code),
  );
  socket.close();
  return said;
}

it('of a detached sandbox, until it is stopped', { skip: embedded.skip }, async (t) => {
  const name = uniqueName();
  const words = ['-c', embedded.uri, '--detach', '-n', name, '--publish', '8000', '--publish', '8000/udp'];
  const started = await runSandbox(words, embedded.options);
  t.after(() => endDetached(name, embedded.options));
  assert.deepEqual([started.code, started.out], [0, `${name}\n`], started.stderr);
  const [, tcp, udp] =
    /^virt-sandbox: port 8000 is at 127\.0\.0\.1:(\d+)\nvirt-sandbox: port 8000\/udp is at 127\.0\.0\.1:(\d+)\n$/.exec(
      started.stderr,
    ) ?? assert.fail(started.stderr);
  const asked = async () => [await overTcp(Number(tcp)), await overUdp(Number(udp))];
  await using sandbox = await connectSandbox(name);
  const server = await sandbox.spawn(['node', '-e', ECHO]);
  await once(server.stdout, 'data');
  assert.deepEqual(await asked(), ['hello', 'hello']);
  await sandbox.stop();
  assert.deepEqual(await asked(), ['ECONNREFUSED', 'ECONNREFUSED']);
  await assertNothingLeft(name, embedded.where);
});

describe('an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user.end());

  it('over qemu:///session', async () => {
    await assertNothingLeft(await publish('qemu:///session', user.options), user.where);
  });
});

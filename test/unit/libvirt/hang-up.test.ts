/** Connections to libvirt daemons in this process: recognized, and closed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonSockets, hangUp } from '../../../src/libvirt/hang-up.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** A connection to a socket that nobody serves. */
async function connected(context: TestContext, path: string): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  const socket = createConnection(path);
  await once(socket, 'connect');
  context.after(() => {
    socket.destroy();
    server.close();
  });
  return socket;
}

test('connections to daemons are closed, except for those to keep', async (context) => {
  const directory = scratchDirectory(context);
  mkdirSync(join(directory, 'libvirt'));
  assert.equal(daemonSockets().size, 0);
  const kept = await connected(context, join(directory, 'libvirt/libvirt-sock'));
  const others = daemonSockets();
  assert.equal(others.size, 1);
  const other = await connected(context, join(directory, 'libvirt/else'));
  const ended = [
    await connected(context, join(directory, 'libvirt/virtqemud-sock')),
    await connected(context, join(directory, 'libvirt/libvirt-sock-ro')),
  ];
  assert.equal(daemonSockets().size, 3);
  const ends = ended.map((socket) => once(socket.resume(), 'end'));
  hangUp(others);
  await Promise.all(ends);
  await sleep(50);
  for (const socket of [kept, other]) assert.equal(socket.readyState, 'open');
});

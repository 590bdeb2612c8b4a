/** Real clients of a published port. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { PublishedPort } from '../../../../src/sandbox/publish/published-port.js';
import { PlayedGuest } from './guest.js';

export async function published(t: TestContext): Promise<{ guest: PlayedGuest; port: PublishedPort }> {
  const guest = new PlayedGuest();
  const port = await guest.publisher.publish(80, {});
  t.after(() => port.close());
  return { guest, port };
}

export async function client(t: TestContext, { address, hostPort }: PublishedPort): Promise<Socket> {
  const socket = connect({ host: address, port: hostPort, allowHalfOpen: true });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** `end`, or the code of the error that a connection ends with. */
export async function endOf(socket: Socket): Promise<string> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once('end', () => resolve('end'));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
    socket.once('close', () => resolve('close'));
  });
}

/** The server that listens after this call. */
export function listening(t: TestContext): () => Server {
  let server: Server | undefined;
  const { listen } = Server.prototype;
  t.mock.method(Server.prototype, 'listen', function (this: Server, ...to: Parameters<typeof listen>) {
    server ??= this;
    return listen.apply(this, to);
  });
  return () => server ?? assert.fail('nothing listens');
}

/** The event loop goes round. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until the port that is published after this call knows of so many clients. */
export function countsConnections(t: TestContext): (wanted: number) => Promise<void> {
  const server = listening(t);
  const count = () => new Promise<number>((resolve) => server().getConnections((_error, open) => resolve(open)));
  return async (wanted) => {
    while ((await count()) !== wanted) await turn();
    // Those that have gone are closed at the end of this turn.
    await turn();
  };
}

/** Real clients of a published port. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { OUTPUT_WINDOW_BYTES } from '../../../../src/protocol/wire.js';
import type { PublishedPort } from '../../../../src/sandbox/publish/published-port.js';
import { PlayedGuest, type Program } from './guest.js';

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

/** The program sends as far as its window allows, until the launcher takes nothing more. @returns how many bytes */
export async function fillOutput(guest: PlayedGuest, program: Program): Promise<number> {
  const piece = Buffer.alloc(OUTPUT_WINDOW_BYTES / 8);
  const before = guest.acknowledged;
  let sent = 0;
  for (let idle = 0; idle < 50; idle += 1) {
    while (sent - (guest.acknowledged - before) <= OUTPUT_WINDOW_BYTES - piece.length) {
      program.send(piece);
      sent += piece.length;
      idle = 0;
    }
    await turn();
    assert.ok(sent < 64 << 20, 'it takes everything');
  }
  return sent;
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

/** One connection to a published port: a program of the init carries it on to the service inside. */
import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { SandboxError } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import { type Builtin, BuiltinError, type BuiltinOptions } from '../process/builtin.js';

/** Starts `connect` inside. */
export type Connect = (options: Pick<BuiltinOptions, 'signal' | 'onStderr'>) => Promise<Builtin>;

/**
 * Carries a connection until the program inside has ended. The end of either direction is passed on by itself. If
 * anything fails inside, the connection is reset behind what came before.
 */
export async function carryConnection(socket: Socket, connect: Connect): Promise<void> {
  const gone = new AbortController();
  // What a client has sent before its end is still carried on.
  socket.once('close', () => {
    if (!socket.readableEnded || !socket.writableFinished) gone.abort();
  });
  let builtin: Builtin | undefined;
  try {
    const ended = deferred<void>();
    const onStderr = (bytes: Buffer) => {
      if (isEnd(bytes)) ended.resolve();
    };
    builtin = await connect({ signal: gone.signal, onStderr });
    socket.pipe(builtin.stdin);
    builtin.stdout.pipe(socket, { end: false });
    await finished(builtin.stdout);
    // Only with its report is that the end of what the service has sent.
    await Promise.race([ended.promise, builtin.ended]);
    await flushed(socket);
    socket.end();
    await builtin.ended;
  } catch (error) {
    if (!gone.signal.aborted && !(error instanceof SandboxError) && !(error instanceof BuiltinError)) throw error;
    // Behind what came before.
    if (!socket.writableEnded) await flushed(socket);
    resetNow(socket);
    await builtin?.ended.catch(() => {});
  }
}

/** A report of errno 0. It is the first that comes, if it comes. */
function isEnd(report: Buffer): boolean {
  return report.length >= 4 && report.readUInt32BE(0) === 0;
}

/** Resets it, whatever is on its way to the client. */
export function resetNow(socket: Socket): void {
  // libuv does not reset one whose end is on its way, and would keep it open. All else has gone to the kernel by then.
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** Waits until the kernel has all that was written, or the socket is closed. */
async function flushed(socket: Socket): Promise<void> {
  if (socket.writableLength > 0) await new Promise<void>((resolve) => socket.write('', () => resolve()));
}

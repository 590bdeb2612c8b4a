/** Talks to a pool that another process holds. */
import { closeSync, constants, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { connectTo } from '../../sandbox/state/connect-to.js';
import { type FoundPool, findPool } from '../../sandbox/state/pools.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { CONTROL_SOCKET } from '../connect.js';
import { controlError } from '../errors.js';
import type { ControlRequest } from '../requests.js';
import { poolEndedError, poolInUseError } from './errors.js';
import { type PoolRecord, readPoolRecord } from './record.js';
import { type PoolState, parsePoolState, parseRemoved, parseTaken, type Taken, type TakeRequest } from './requests.js';

/** How long a holder may take to greet, in milliseconds. */
const GREETING_MS = 10_000;

export class ConnectedPool {
  readonly name: string;
  readonly record: PoolRecord;
  readonly #channel: Channel;
  readonly #socket: Socket;

  constructor(channel: Channel, socket: Socket, record: PoolRecord) {
    this.#channel = channel;
    this.#socket = socket;
    this.record = record;
    this.name = record.name;
  }

  /**
   * Takes a sandbox, and waits for one. It is stopped when this connection ends, unless {@link keep} was called.
   * @throws {SandboxError} as `SandboxPool.take`, and `name-in-use`, `pool-full`, `pool-ended`,
   *   `control-failed`
   */
  async take(request: Omit<TakeRequest, 'ask'>): Promise<Taken> {
    return parseTaken(await this.#ask({ ask: 'take', ...request })) ?? this.#nonsense();
  }

  /** What was taken lives on when this connection ends. */
  async keep(): Promise<void> {
    await this.#ask({ ask: 'keep' });
  }

  /** @throws {SandboxError} `pool-ended`, `control-failed` */
  async state(): Promise<PoolState> {
    return parsePoolState(await this.#ask({ ask: 'pool-stats' })) ?? this.#nonsense();
  }

  /**
   * Ends the pool. Resolves when nothing of it is left.
   * @param force stops the sandboxes that were taken, too
   * @throws {SandboxError} `pool-in-use`, `pool-ended`, `control-failed`
   */
  async remove(force: boolean): Promise<void> {
    const running = parseRemoved(await this.#ask({ ask: 'pool-rm', force })) ?? this.#nonsense();
    if (running.length > 0) throw poolInUseError(this.name, running);
    // Its directory is gone when the holder closes the connection.
    await this.ended();
  }

  /** Resolves when the connection has ended. */
  async ended(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve();
      this.#socket.once('close', resolve);
    });
  }

  /** Ends the connection, and with it what was taken over it. */
  async close(): Promise<void> {
    this.#channel.quit();
    this.#socket.end();
    await this.ended();
    this.#channel.destroy();
  }

  async #ask(request: ControlRequest): Promise<string> {
    try {
      return (await this.#channel.call({ op: 'control', request: JSON.stringify(request) }, { tolerate: true })).value;
    } catch (error) {
      if (error instanceof OperationError)
        throw controlError(`the pool ${this.name}: ${error.message}`, 'see virt-sandbox-ctl pool inspect', error);
      if (error instanceof SandboxError) throw poolEndedError(this.name, error);
      throw error;
    }
  }

  #nonsense(): never {
    throw controlError(
      `the holder of the pool ${this.name} gives an answer that makes no sense`,
      'use the same version of virt-sandbox as who created it',
    );
  }
}

/**
 * Connects to the pool of that name of this user.
 * @throws {SandboxError} `pool-not-found`, `not-yours`, `control-failed`, `pool-ended`
 */
export async function connectPool(name: string, signal?: AbortSignal): Promise<ConnectedPool> {
  signal?.throwIfAborted();
  const { socket, record } = await open(findPool(name));
  const giveUp = () => socket.destroy();
  signal?.addEventListener('abort', giveUp, { once: true });
  if (signal?.aborted) giveUp();
  const timer = setTimeout(giveUp, GREETING_MS);
  try {
    const { channel } = await Channel.open(socket);
    return new ConnectedPool(channel, socket, record);
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    if (!(error instanceof SandboxError)) throw error;
    throw controlError(
      `the holder of the pool ${name} does not talk to this program: ${error.message}`,
      'see that it still runs, that fewer than 256 are connected, and that it has the same version of virt-sandbox',
      error,
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', giveUp);
  }
}

/** By the descriptor of its directory: the path may be too long for a socket. */
async function open({ name, directory }: FoundPool): Promise<{ socket: Socket; record: PoolRecord }> {
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    const path = `/proc/self/fd/${fd}`;
    return { record: readPoolRecord(path), socket: await connectTo(join(path, CONTROL_SOCKET), undefined) };
  } catch (error) {
    if (isSystemError(error, 'ECONNREFUSED')) throw poolEndedError(name, error);
    throw controlError(
      `the pool ${name} cannot be talked to: ${messageOf(error)}`,
      'see that it still runs, and try again when its first sandbox waits',
      error,
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

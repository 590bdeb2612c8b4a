/**
 * The channel as a state machine: a guest that says anything, calls that wait for it, and a connection that ends. An
 * input is a list of steps. When the connection has ended, every promise has settled, with an error meant for it.
 */
import assert from 'node:assert/strict';
import { Channel } from '../../../src/protocol/channel.js';
import { type Operation, OperationError } from '../../../src/protocol/operations.js';
import { encodePacket } from '../../../src/protocol/packets.js';
import type { GuestProcess } from '../../../src/protocol/process.js';
import { HANDSHAKE_SYNC, MessageType, Proc } from '../../../src/protocol/wire.js';
import { SandboxError } from '../../../src/util/errors.js';
import { exit, spawned, spawnOperation, stdinTaken, stream } from '../../unit/protocol/guest.js';
import { requireReadable } from './support/expect.js';
import { Input } from './support/input.js';
import { quiet } from './support/settle.js';
import type { Target } from './support/target.js';
import { FakeTransport, requireNothingEscaped, type Watched, watch } from './support/transport.js';

const OPERATIONS: readonly Operation[] = [
  { op: 'sync' },
  { op: 'stat', path: '/a', follow: true },
  { op: 'listDir', path: '/a' },
  { op: 'readFile', path: '/a', limit: 1 },
  { op: 'readLink', path: '/a' },
  { op: 'run', argv: ['a'], environment: [], stdin: new Uint8Array(), timeout: 1 },
  // Has a NUL byte, which no packet can carry.
  { op: 'readLink', path: 'a\0b' },
];

// QEMU would send more meanwhile; a fuzzer has nothing to send before this ends.
Atomics.wait = () => 'timed-out';

/** For all that is written: more than a packet has, and than may be on its way. */
const INPUT = Buffer.alloc(1 << 20);

class Session {
  readonly transport = new FakeTransport();
  readonly watched: Watched[] = [];
  /** Serial numbers count from 1. */
  #calls = 0;
  #channel: Channel | undefined;
  readonly #processes: GuestProcess[] = [];

  constructor(private readonly input: Input) {}

  /** The handshake, unless the machine comes from a snapshot. */
  async open(isResumed: boolean): Promise<void> {
    if (isResumed) this.#started(Channel.resume(this.transport));
    else {
      const opening = Channel.open(this.transport).then(({ channel }) => this.#started(channel));
      this.watched.push(watch('open', opening));
      if (this.input.choice(4) > 0) this.transport.push(Uint8Array.of(HANDSHAKE_SYNC));
    }
    await quiet();
  }

  #started(channel: Channel): void {
    this.#channel = channel;
    this.#watchProcess(channel.application);
  }

  #watchProcess(process: GuestProcess): void {
    this.watched.push(watch('exited', process.exited));
    process.stdin.on('error', () => {});
    this.#processes.push(process);
  }

  /** Of some process, or of none yet. */
  #some(): GuestProcess | undefined {
    return this.#processes[this.input.choice(Math.max(1, this.#processes.length))];
  }

  async step(): Promise<void> {
    const { input } = this;
    const channel = this.#channel;
    switch (input.choice(12)) {
      case 0:
        this.#receive(input.take(input.byte()));
        break;
      case 1:
        this.#packet(input.choice(8), input.choice(4), input.choice(3), input.choice(4));
        break;
      case 2:
        // The reply to a call that may have been made.
        this.#packet(Proc.STAT, MessageType.REPLY, input.choice(3), 1 + input.choice(Math.max(1, this.#calls)));
        break;
      case 3: {
        const operation = OPERATIONS[input.choice(OPERATIONS.length)] ?? { op: 'sync' };
        if (channel === undefined) break;
        this.#calls += 1;
        this.watched.push(watch(`${operation.op} ${this.#calls}`, channel.call(operation)));
        break;
      }
      case 4:
        if (channel === undefined) break;
        this.#calls += 1;
        this.watched.push(watch('forward', channel.forward(Proc.STAT, 0, input.take(input.choice(8)))));
        break;
      case 5:
        this.#some()?.stdin.write(INPUT.subarray(0, 1 << (4 * input.choice(6))));
        break;
      case 6:
        this.#some()?.[input.choice(2) === 0 ? 'stdout' : 'stderr'].read();
        break;
      case 7:
        if (input.choice(2) === 0) this.#some()?.stdin.end();
        else channel?.quit();
        break;
      case 8: {
        if (channel === undefined) break;
        this.#calls += 1;
        const isApplication = input.choice(4) === 0;
        const spawn = spawnOperation({ isApplication });
        if (isApplication) this.watched.push(watch(`application ${this.#calls}`, channel.call(spawn)));
        else
          this.watched.push(
            watch(
              `spawn ${this.#calls}`,
              channel.spawn(spawn).then(({ process }) => this.#watchProcess(process)),
            ),
          );
        break;
      }
      case 9:
        this.#receive(spawned(1 + input.choice(Math.max(1, this.#calls)), input.choice(6)));
        break;
      case 10:
        this.#about(input.choice(6));
        break;
      default:
        await quiet();
        this.#end(input.choice(16));
    }
  }

  /** Mostly the connection goes on. */
  #end(way: number): void {
    if (way === 0) this.transport.destroy();
    else if (way === 1) this.transport.push(null);
  }

  /** Something about a process that may be there. */
  #about(process: number): void {
    const { input } = this;
    const proc = input.choice(2) === 0 ? Proc.STDOUT : Proc.STDERR;
    switch (input.choice(4)) {
      case 0:
        this.#receive(stream(proc, process, input.take(input.choice(16))));
        break;
      case 1:
        this.#receive(stream(proc, process, INPUT.subarray(0, 1 << (input.choice(5) * 4))));
        break;
      case 2:
        this.#receive(stdinTaken(process, input.choice(2) === 0 ? 1 << (4 * input.choice(6)) : input.byte()));
        break;
      default:
        this.#receive(exit(process, input.byte(), input.choice(3)));
    }
  }

  #packet(proc: number, type: number, status: number, serial: number): void {
    this.#receive(encodePacket(proc, type, status, serial, this.input.take(this.input.choice(64))));
  }

  #receive(bytes: Uint8Array): void {
    if (!this.transport.destroyed && !this.transport.readableEnded && bytes.length > 0) this.transport.push(bytes);
  }
}

export const target: Target = {
  kind: 'settling',
  mostBytes: 1024,
  quickRuns: 5000,
  async read(data) {
    requireNothingEscaped();
    const input = new Input(data);
    const session = new Session(input);
    await session.open(input.choice(2) === 0);
    while (input.left > 0) await session.step();
    await quiet();
    session.transport.destroy();
    await quiet();
    for (const { name, settled, error } of session.watched) {
      assert.ok(settled, `${name} is not settled, and the connection has ended`);
      if (error instanceof SandboxError) requireReadable(error);
      else if (error !== undefined && !(error instanceof OperationError)) throw error;
    }
    requireNothingEscaped();
  },
};

/** Several processes on one channel: who gets what, and a guest that says what cannot be. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Channel } from '../../../src/protocol/channel.js';
import { type PacketHeader, PacketParser } from '../../../src/protocol/packets.js';
import type { GuestProcess } from '../../../src/protocol/process.js';
import { ExitFlag, MessageType, OUTPUT_WINDOW_BYTES, Proc, STDIN_WINDOW_BYTES } from '../../../src/protocol/wire.js';
import { exit, spawned, spawnOperation, stdinTaken, stream } from './guest.js';

interface Sent {
  readonly header: PacketHeader;
  readonly payload: Buffer;
}

class FakeGuest {
  /** What the launcher has sent. */
  readonly sent: Sent[] = [];
  readonly channel: Channel;
  readonly #transport: Duplex;
  #serial = 0;

  constructor() {
    const parser = new PacketParser({
      stream: () => assert.fail('a host sends no output'),
      streamEnd: () => assert.fail('a host sends no output'),
      packet: (header, payload) => this.sent.push({ header, payload }),
    });
    this.#transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        parser.push(chunk);
        done();
      },
    });
    this.channel = Channel.resume(this.#transport);
  }

  say(...packets: readonly Buffer[]): void {
    this.#transport.push(Buffer.concat(packets));
  }

  /** A process of that number, whose first packets come right behind the answer. */
  async start(process: number, ...packets: readonly Buffer[]): Promise<GuestProcess> {
    const starting = this.channel.spawn(spawnOperation());
    this.#serial += 1;
    this.say(spawned(this.#serial, process), ...packets);
    return (await starting).process;
  }

  async application(process: number): Promise<void> {
    const starting = this.channel.call(spawnOperation({ isApplication: true }));
    this.#serial += 1;
    this.say(spawned(this.#serial, process));
    await starting;
  }

  /** Bytes of the launcher's packets of a kind, for a process. */
  of(proc: number, type: number, process: number): Buffer[] {
    return this.sent
      .filter(({ header }) => header.proc === proc && header.type === type && header.serial === process)
      .map(({ payload }) => payload);
  }

  acknowledged(proc: number, process: number): number {
    return this.of(proc, MessageType.REPLY, process).reduce((sum, payload) => sum + payload.readUInt32BE(0), 0);
  }
}

describe('processes', () => {
  test('each gets its own output, stdin and exit', async () => {
    const guest = new FakeGuest();
    await guest.application(1);
    const ids = Array.from({ length: 50 }, (_, at) => at + 2);
    const processes = await Promise.all(
      ids.map((id) => guest.start(id, stream(Proc.STDOUT, id, Buffer.from(`${id};`)))),
    );
    const texts = processes.map(({ stdout, stderr }) => Promise.all([buffer(stdout), buffer(stderr)]));
    for (let round = 0; round < 3; round += 1) {
      for (const id of ids) guest.say(stream(Proc.STDOUT, id, Buffer.from(`${id}o${round};`)));
      for (const id of ids) guest.say(stream(Proc.STDERR, id, Buffer.from(`${id}e${round};`)));
    }
    for (const [at, process] of processes.entries()) process.stdin.end(`to ${ids[at]}`);
    await nextTurn();
    for (const id of ids) guest.say(exit(id, id << 8));
    for (const [at, id] of ids.entries()) {
      const [out, err] = (await texts[at]) ?? [];
      assert.equal(out?.toString(), `${id};${id}o0;${id}o1;${id}o2;`);
      assert.equal(err?.toString(), `${id}e0;${id}e1;${id}e2;`);
      assert.deepEqual(await processes[at]?.exited, { status: id << 8, timedOut: false, drained: 0, finished: 0 });
      assert.deepEqual(
        guest.of(Proc.STDIN, MessageType.DATA, id).map((bytes) => bytes.toString()),
        [`to ${id}`, ''],
      );
    }
  });

  test('one that nobody reads holds up itself, and no other', async () => {
    const guest = new FakeGuest();
    const [idle, read] = [await guest.start(1), await guest.start(2)];
    read.stdout.resume();
    const piece = Buffer.alloc(OUTPUT_WINDOW_BYTES / 8);
    for (let at = 0; at < 8; at += 1) {
      guest.say(stream(Proc.STDOUT, 1, piece));
      for (let more = 0; more < 4; more += 1) guest.say(stream(Proc.STDOUT, 2, piece));
      await nextTurn();
    }
    assert.equal(guest.acknowledged(Proc.STDOUT, 1), 0);
    assert.equal(guest.acknowledged(Proc.STDOUT, 2), 4 * OUTPUT_WINDOW_BYTES);
    idle.stdout.resume();
    await nextTurn();
    assert.equal(guest.acknowledged(Proc.STDOUT, 1), OUTPUT_WINDOW_BYTES);
  });

  test('output is acknowledged although its reader is gone', async () => {
    const guest = new FakeGuest();
    const half = Array(4).fill(stream(Proc.STDERR, 1, Buffer.alloc(OUTPUT_WINDOW_BYTES / 8)));
    const process = await guest.start(1, ...half);
    process.stderr.destroy();
    await nextTurn();
    guest.say(...half);
    await nextTurn();
    assert.equal(guest.acknowledged(Proc.STDERR, 1), OUTPUT_WINDOW_BYTES);
  });

  test('stdin of each has its own window', async () => {
    const guest = new FakeGuest();
    const [full, free] = [await guest.start(1), await guest.start(2)];
    const sent = (process: number) =>
      guest.of(Proc.STDIN, MessageType.DATA, process).reduce((sum, bytes) => sum + bytes.length, 0);
    full.stdin.write(Buffer.alloc(2 * STDIN_WINDOW_BYTES));
    free.stdin.write('quick');
    assert.deepEqual([sent(1), sent(2)], [STDIN_WINDOW_BYTES, 5]);
    guest.say(stdinTaken(1, STDIN_WINDOW_BYTES));
    await nextTurn();
    assert.equal(sent(1), 2 * STDIN_WINDOW_BYTES);
    // A process that has ended takes what is still to come, so that its writer ends too.
    full.stdin.end(Buffer.alloc(3 * STDIN_WINDOW_BYTES));
    guest.say(exit(1));
    await new Promise((resolve) => full.stdin.once('finish', resolve));
    assert.equal(sent(1), 2 * STDIN_WINDOW_BYTES);
  });

  test('a time that is over is told from a kill', async () => {
    const guest = new FakeGuest();
    const [late, killed] = [await guest.start(1), await guest.start(2)];
    guest.say(exit(1, 9, ExitFlag.TIMED_OUT), exit(2, 9));
    assert.equal((await late.exited).timedOut, true);
    assert.equal((await killed.exited).timedOut, false);
  });

  test('others are lost when the application ends', async () => {
    const guest = new FakeGuest();
    await guest.application(1);
    const other = await guest.start(2);
    const output = buffer(other.stdout);
    guest.say(exit(1, 3 << 8));
    assert.equal((await guest.channel.application.exited).status, 3 << 8);
    await assert.rejects(other.exited, { code: 'sandbox-ended' });
    assert.equal((await output).length, 0);
  });
});

describe('a guest that lies ends the connection:', () => {
  const LIES: readonly (readonly [name: string, ...packets: Buffer[]])[] = [
    ['output of a process that is not there', stream(Proc.STDOUT, 3, Buffer.from('x'))],
    ['the end of output of one that is not there', stream(Proc.STDERR, 3, Buffer.alloc(0))],
    ['an exit of one that is not there', exit(3)],
    ['an acknowledgement for one that is not there', stdinTaken(3, 1)],
    ['an exit twice', exit(1), exit(1)],
    ['output behind the exit', exit(1), stream(Proc.STDOUT, 1, Buffer.from('x'))],
    ['output behind its end', stream(Proc.STDOUT, 1, Buffer.alloc(0)), stream(Proc.STDOUT, 1, Buffer.from('x'))],
    ['more output than the window', ...Array(9).fill(stream(Proc.STDOUT, 1, Buffer.alloc(OUTPUT_WINDOW_BYTES / 8)))],
    ['stdin taken that was not sent', stdinTaken(1, 1)],
    ['an exit that is cut off', exit(1).subarray(0, -4)],
  ];
  for (const [name, ...packets] of LIES) {
    test(name, async () => {
      const guest = new FakeGuest();
      const process = await guest.start(1);
      const pending = guest.channel.call({ op: 'sync' });
      // The length of one that is cut off says so.
      for (const packet of packets) packet.writeUInt32BE(packet.length, 0);
      guest.say(...packets);
      await assert.rejects(pending, { code: 'guest-gone', message: /the connection to the guest broke/ });
      await process.exited.catch(({ code }: { code: string }) => assert.equal(code, 'guest-gone'));
    });
  }

  test('one number for two processes', async () => {
    const guest = new FakeGuest();
    await guest.start(1);
    await assert.rejects(guest.start(1), { code: 'guest-gone' });
    const other = new FakeGuest();
    await assert.rejects(other.start(0), { code: 'guest-gone' });
  });
});

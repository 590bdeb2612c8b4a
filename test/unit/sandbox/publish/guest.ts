/** A guest that plays the programs `connect` of a launcher, as a test tells it. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import type { GuestConfig } from '../../../../init/common/config.js';
import { Channel } from '../../../../src/protocol/channel.js';
import { FieldWriter } from '../../../../src/protocol/fields.js';
import { encodePacket, type PacketHeader, PacketParser } from '../../../../src/protocol/packets.js';
import { MessageType, Proc, Status } from '../../../../src/protocol/wire.js';
import { Publisher } from '../../../../src/sandbox/publish/publisher.js';
import { exit, numbers, spawned, stdinTaken, stream } from '../../protocol/guest.js';

/** What a process is started with, of a guest whose packets do not depend on it. */
const CONFIG = {
  identity: { uid: 1, gid: 1, username: 'daemon', home: '/', groups: [] },
  environment: [],
  command: [],
  privileged: false,
} as unknown as GuestConfig;

/** A guest's end of a program: nothing is done by itself but what is said here. */
export class Program {
  readonly number: number;
  readonly argv: readonly string[];
  readonly stdin: Buffer[] = [];
  stdinEnded = false;
  readonly #guest: PlayedGuest;

  constructor(guest: PlayedGuest, number: number, argv: readonly string[]) {
    this.#guest = guest;
    this.number = number;
    this.argv = argv;
  }

  /** All of stdin that was received. */
  get received(): Buffer {
    return Buffer.concat(this.stdin);
  }

  take(bytes: number): void {
    this.#guest.say(stdinTaken(this.number, bytes));
  }

  send(data: string | Uint8Array): void {
    this.#guest.say(stream(Proc.STDOUT, this.number, Buffer.from(data)));
  }

  /** @param isWhole the service has ended its direction, and was not cut off */
  endOutput(isWhole = true): void {
    if (isWhole) this.#guest.say(stream(Proc.STDERR, this.number, numbers(0)));
    this.#guest.say(stream(Proc.STDOUT, this.number, Buffer.alloc(0)));
  }

  exit(status = 0): void {
    this.#guest.say(exit(this.number, status));
  }

  /** Ends as `connect` does that found nobody. */
  fail(errno: number): void {
    this.#guest.say(stream(Proc.STDERR, this.number, Buffer.concat([numbers(errno), Buffer.from('connect(x)')])));
    this.exit(1 << 8);
  }
}

export class PlayedGuest {
  readonly channel: Channel;
  readonly publisher: Publisher;
  readonly programs: Program[] = [];
  /** The numbers of processes that were signalled. */
  readonly killed: number[] = [];
  readonly #unanswered: Buffer[] = [];
  #isSlow = false;
  #refuses = false;
  /** Bytes of output that the launcher has taken. */
  acknowledged = 0;
  readonly #transport: Duplex;
  readonly #waiting: (() => void)[] = [];

  constructor() {
    const parser = new PacketParser({
      stream: () => assert.fail('a host sends no output'),
      streamEnd: () => assert.fail('a host sends no output'),
      packet: (header, payload) => this.#packet(header, payload),
    });
    this.#transport = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        parser.push(chunk);
        for (const wake of this.#waiting.splice(0)) wake();
        done();
      },
    });
    this.channel = Channel.resume(this.#transport);
    this.publisher = new Publisher(this.channel, CONFIG);
  }

  /** Whether no program has started yet of those that are asked for from now on. */
  set isSlow(isSlow: boolean) {
    this.#isSlow = isSlow;
    if (!isSlow) this.say(...this.#unanswered.splice(0));
  }

  /** The next program is none that starts. */
  refuse(): void {
    this.#refuses = true;
  }

  say(...packets: readonly Buffer[]): void {
    this.#transport.push(Buffer.concat(packets));
  }

  /** The connection between launcher and guest ends. */
  end(): void {
    this.#transport.destroy();
  }

  /** Waits until the launcher has sent what makes it true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The program that is started as the `count`th. */
  async program(count: number): Promise<Program> {
    await this.until(() => this.programs.length >= count);
    return this.programs[count - 1] ?? assert.fail();
  }

  #packet({ proc, type, serial }: PacketHeader, payload: Buffer): void {
    if (proc === Proc.SPAWN) {
      this.programs.push(new Program(this, this.programs.length + 1, argvOf(payload)));
      const answer = this.#refuses ? refused(serial) : spawned(serial, this.programs.length);
      this.#refuses = false;
      if (this.#isSlow) this.#unanswered.push(answer);
      else this.say(answer);
    } else if (proc === Proc.SIGNAL) {
      this.killed.push(payload.readUInt32BE(0));
      this.say(encodePacket(proc, MessageType.REPLY, Status.OK, serial, numbers(0)));
    } else if (proc === Proc.STDIN && type === MessageType.DATA) {
      const program = this.programs[serial - 1];
      if (payload.length === 0 && program) program.stdinEnded = true;
      program?.stdin.push(payload);
    } else if (type === MessageType.REPLY && proc === Proc.STDOUT) {
      this.acknowledged += payload.readUInt32BE(0);
    }
  }
}

/** The reply to a SPAWN beside as many processes as there may be. */
function refused(serial: number): Buffer {
  const payload = new FieldWriter().u32(0).u32(constants.errno.EAGAIN).str('clone()').finish();
  return encodePacket(Proc.SPAWN, MessageType.REPLY, Status.ERROR, serial, payload);
}

/** Its first field: a list of strings. */
function argvOf(spawn: Buffer): string[] {
  let at = 4;
  return Array.from({ length: spawn.readUInt32BE(0) }, () => {
    const start = at + 4;
    at = start + spawn.readUInt32BE(at);
    return spawn.toString('utf8', start, at);
  });
}

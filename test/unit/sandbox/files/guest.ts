/** A guest whose programs answer with anything. */
import { constants } from 'node:os';
import type { GuestConfig } from '../../../../init/common/config.js';
import type { Channel } from '../../../../src/protocol/channel.js';
import { FieldReader, FieldWriter } from '../../../../src/protocol/fields.js';
import { encodePacket, type PacketHeader } from '../../../../src/protocol/packets.js';
import { MessageType, Proc, Status } from '../../../../src/protocol/wire.js';
import { Files } from '../../../../src/sandbox/files/files.js';
import { FakeGuest } from '../../../helpers/fake-guest.js';
import { exit, numbers, spawned, stdinTaken, stream } from '../../protocol/guest.js';

export const GUEST: GuestConfig = {
  platform: 'machine',
  hostname: 'fake',
  root: { type: 'ram', bytes: 1 },
  mounts: [],
  disks: [],
  devices: undefined,
  identity: { uid: 0, gid: 0, groups: [], username: 'root', home: '/root' },
  privileged: false,
  environment: [],
  network: undefined,
  cwd: '/work',
  command: ['true'],
  terminal: undefined,
};

/** What a program does when it is started: packets about the process of that number. */
export type Program = (process: number) => readonly Buffer[];

export class LyingGuest {
  readonly files: Files;
  /** Of each program: its arguments and its directory. */
  readonly started: { readonly argv: readonly string[]; readonly cwd: string }[] = [];
  /** Signals in order. */
  readonly signals: number[] = [];
  /** Bytes of stdin, and whether they have ended. */
  stdin = '';
  stdinEnded = false;
  /** What a program does with a signal; by default it ends. */
  onSignal: (process: number, signal: number) => readonly Buffer[] = (process, signal) => [exit(process, signal)];
  /** The host has taken output of a process. */
  onTaken: (process: number) => void = () => {};
  /** What a program does when its stdin has ended; by default nothing. */
  onStdinEnd: (process: number) => readonly Buffer[] = () => [];
  /** What it answers to a call that starts no program and sends no signal; by default nothing. */
  onCall: (proc: number, serial: number) => readonly Buffer[] = () => [];
  readonly #guest: FakeGuest;
  readonly #program: Program;
  #processes = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#guest = new FakeGuest((header, payload) => this.#answer(header, payload));
    this.files = new Files(this.#guest.channel, GUEST);
  }

  get channel(): Channel {
    return this.#guest.channel;
  }

  say(...packets: readonly Buffer[]): void {
    this.#guest.say(...packets);
  }

  /** The sandbox ends. */
  end(): void {
    this.#guest.end();
  }

  #takeStdin(process: number, bytes: Buffer): void {
    this.stdin += bytes.toString();
    if (bytes.length > 0) {
      this.say(stdinTaken(process, bytes.length));
      return;
    }
    this.stdinEnded = true;
    this.say(...this.onStdinEnd(process));
  }

  #answer({ type, proc, serial }: PacketHeader, payload: Buffer): void {
    if (type === MessageType.DATA) this.#takeStdin(serial, payload);
    if (type === MessageType.REPLY && proc === Proc.STDOUT) this.onTaken(serial);
    if (type !== MessageType.CALL) return;
    const reader = new FieldReader(payload);
    if (proc === Proc.SIGNAL) {
      const [process, signal] = [reader.u32(), reader.u32()];
      this.signals.push(signal);
      this.say(encodePacket(proc, MessageType.REPLY, Status.OK, serial, numbers(0)));
      if (signal !== 0) this.say(...this.onSignal(process, signal));
      return;
    }
    if (proc !== Proc.SPAWN) {
      this.say(...this.onCall(proc, serial));
      return;
    }
    const argv = reader.list(() => reader.str());
    reader.list(() => reader.str());
    this.started.push({ argv, cwd: reader.str() });
    this.#processes += 1;
    this.say(spawned(serial, this.#processes), ...this.#program(this.#processes));
  }
}

/** Ends with what it writes. */
export function writes(...bytes: readonly Buffer[]): Program {
  return (process) => [...bytes.map((piece) => stream(Proc.STDOUT, process, piece)), exit(process)];
}

/** Fails with an errno. */
export function fails(name: keyof typeof constants.errno | number, what: string): Program {
  const errno = typeof name === 'number' ? name : constants.errno[name];
  return (process) => [
    stream(Proc.STDERR, process, Buffer.concat([numbers(errno), Buffer.from(what)])),
    exit(process, 1 << 8),
  ];
}

export function record(fields: FieldWriter): Buffer {
  const bytes = fields.finish();
  return Buffer.concat([numbers(bytes.length), bytes]);
}

/** The record of a file. */
export function fileRecord(
  name: string | Buffer,
  { mode = 0o100_644, seconds = 0n, nanoseconds = 0, size = 0n, target = '' } = {},
): Buffer {
  const fields = new FieldWriter().bytes(Buffer.from(name)).u32(mode).u32(1).u32(2);
  return record(fields.u64(size).u64(seconds).u32(nanoseconds).bytes(Buffer.from(target)));
}

/** The record of a change. */
export function changeRecord(kind: number, name: string | Buffer, cookie = 0): Buffer {
  return record(new FieldWriter().u32(kind).u32(cookie).bytes(Buffer.from(name)));
}

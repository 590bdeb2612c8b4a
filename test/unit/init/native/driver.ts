/** A host for the tests of the native init: it connects, shakes hands, sends calls and collects packets. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import {
  HANDSHAKE_SYNC,
  HANDSHAKE_WAIT,
  HEADER_BYTES,
  MessageType,
  OUTPUT_WINDOW_BYTES,
  Proc,
  SpawnFlag,
  Status,
} from '../../../../src/protocol/wire.js';

/**
 * Drives the native init's test build over a Unix socket. It encodes packets by itself, so that the tests do not repeat
 * a mistake of the launcher's codec.
 */

const TIMEOUT_MS = 20_000;
/** With so much output that nobody has acknowledged, an init may read no more of it. docs/protocol.md */
export const FULL_WINDOW_BYTES = OUTPUT_WINDOW_BYTES - 4095;
/** Fewer bytes of stdin have no acknowledgement while the program can read on. docs/protocol.md */
export const ACKNOWLEDGED_BYTES = 32_768;
/** `make test` builds it. */
export const INIT = resolve('build/native/init-asan');

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

export function str(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

export function list(items: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat([u32(items.length), ...items.map(str)]);
}

export function packet(proc: number, type: number, status: number, serial: number, payload: Buffer): Buffer {
  return Buffer.concat([...[HEADER_BYTES + payload.length, proc, type, status, serial].map(u32), payload]);
}

export interface Packet {
  readonly proc: number;
  readonly type: number;
  readonly status: number;
  readonly serial: number;
  readonly payload: Buffer;
}

export interface Reply {
  readonly status: number;
  /** The errno of an ERROR, else 0. */
  readonly errno: number;
  /** The failed operation of an ERROR. */
  readonly detail: string;
  /** The result fields of an OK. */
  readonly result: Buffer;
}

export interface SpawnOptions {
  readonly environment?: readonly string[];
  readonly directory?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly groups?: readonly number[];
  readonly capabilities?: bigint;
  readonly flags?: number;
  readonly rows?: number;
  readonly columns?: number;
  /** In milliseconds; default: none. */
  readonly timeLimit?: number;
}

/** The payload of SPAWN. By default, the program is the application, and keeps the ids and groups of the test. */
export function spawnPayload(argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Buffer {
  const groups = options.groups ?? process.getgroups?.() ?? [];
  return Buffer.concat([
    list(argv),
    list(options.environment ?? ['PATH=/usr/bin:/bin']),
    str(options.directory ?? ''),
    u32(options.uid ?? process.getuid?.() ?? 0),
    u32(options.gid ?? process.getgid?.() ?? 0),
    u32(groups.length),
    ...groups.map(u32),
    u64(options.capabilities ?? 0xffff_ffff_ffff_ffffn),
    u32(options.flags ?? SpawnFlag.APPLICATION),
    u32(options.rows ?? 0),
    u32(options.columns ?? 0),
    u32(options.timeLimit ?? 0),
  ]);
}

/** The payload of WRITE_FILE. */
export function writeFilePayload(path: string, data: string, flags = 0, mode = 0o644): Buffer {
  return Buffer.concat([str(path), u32(mode), u32(flags), str(data)]);
}

/** The payload of RUN. */
export function runPayload(
  argv: string[],
  options: { stdin?: Buffer; timeout?: number; environment?: string[] } = {},
): Buffer {
  return Buffer.concat([
    list(argv),
    list(options.environment ?? ['PATH=/usr/bin:/bin']),
    str(options.stdin ?? ''),
    u32(options.timeout ?? 10_000),
  ]);
}

function decodeReply({ status, payload }: Packet): Reply {
  if (status !== Status.ERROR) return { status, errno: 0, detail: '', result: payload.subarray(4) };
  const size = payload.readUInt32BE(8);
  assert.equal(payload.length, 12 + size);
  return { status, errno: payload.readUInt32BE(4), detail: payload.toString('utf8', 12), result: Buffer.alloc(0) };
}

/** Rejects after a timeout, with the init's messages so far. */
async function within<T>(promise: Promise<T>, what: string, said: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in ${TIMEOUT_MS} ms; the init said: ${said()}`)), TIMEOUT_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export class Guest {
  readonly process: ChildProcess;
  readonly socket: Socket;
  /** The init's console output. */
  said = '';
  /** Every packet, in order. */
  readonly packets: Packet[] = [];
  /** The guest's number for the application. */
  application = 0;
  /** Whether all output is acknowledged as it comes. */
  acknowledges = true;
  #raw: Buffer = Buffer.alloc(0);
  #framed = false;
  #serial = 0;
  #waiting: (() => void)[] = [];
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess, socket: Socket) {
    this.process = child;
    this.socket = socket;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said += text;
    });
    this.#ended = once(child, 'close').then(([code]) => code as number | null);
    socket.on('data', (chunk: Buffer) => {
      this.#raw = this.#raw.length === 0 ? chunk : Buffer.concat([this.#raw, chunk]);
      if (this.#framed) this.#cut();
      this.#wake();
    });
    socket.on('close', () => this.#wake());
    socket.on('error', () => {});
  }

  /**
   * Starts the init and goes through the handshake, unless told otherwise. `through`: a command that becomes the one at
   * its end.
   */
  static async start(
    t: TestContext,
    options: { arguments?: string[]; handshake?: boolean; through?: string[] } = {},
  ): Promise<Guest> {
    const directory = await mkdtemp(join(tmpdir(), 'native-init-'));
    const path = join(directory, 'channel');
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    const [program = INIT, ...before] = [...(options.through ?? []), INIT];
    const child = spawn(program, [...before, '--channel-unix', path, ...(options.arguments ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0:exitcode=99', UBSAN_OPTIONS: 'print_stacktrace=1' },
    });
    t.after(async () => {
      server.close();
      child.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    });
    // The test must not wait for an init that fails to start.
    const gone = once(child, 'exit').then(([code]): never => assert.fail(`the init ended with ${code} at its start`));
    const [socket] = (await Promise.race([once(server, 'connection'), gone])) as [Socket];
    server.close();
    const guest = new Guest(child, socket);
    t.after(() => void socket.destroy());
    if (options.handshake !== false) {
      socket.write(Buffer.of(HANDSHAKE_WAIT));
      assert.deepEqual(await guest.raw(1), Buffer.of(HANDSHAKE_SYNC));
      socket.write(Buffer.of(HANDSHAKE_SYNC));
      guest.startPackets();
      assert.equal((await guest.packet((each) => each.proc === Proc.READY)).type, MessageType.MESSAGE);
    }
    return guest;
  }

  /** Bytes before the first packet. */
  async raw(size: number): Promise<Buffer> {
    await this.until(() => this.#raw.length >= size, `${size} bytes`);
    const bytes = this.#raw.subarray(0, size);
    this.#raw = this.#raw.subarray(size);
    return bytes;
  }

  get rawBytes(): number {
    return this.#raw.length;
  }

  startPackets(): void {
    this.#framed = true;
    this.#cut();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #cut(): void {
    while (this.#raw.length >= HEADER_BYTES) {
      const size = this.#raw.readUInt32BE(0);
      assert.ok(size >= HEADER_BYTES && size <= 262_144, `a packet of ${size} bytes`);
      if (this.#raw.length < size) return;
      const [proc, type, status, serial] = [4, 8, 12, 16].map((at) => this.#raw.readUInt32BE(at));
      assert.ok(proc !== undefined && type !== undefined && status !== undefined && serial !== undefined);
      this.packets.push({ proc, type, status, serial, payload: this.#raw.subarray(HEADER_BYTES, size) });
      if (this.acknowledges && type === MessageType.DATA && size > HEADER_BYTES)
        this.acknowledge(proc, size - HEADER_BYTES, serial);
      this.#raw = this.#raw.subarray(size);
    }
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const loop = async (): Promise<void> => {
      while (!condition()) {
        if (this.socket.destroyed) throw new Error(`the channel ended before ${what}; the init said: ${this.said}`);
        await new Promise<void>((wake) => {
          this.#waiting.push(wake);
        });
      }
    };
    await within(loop(), what, () => this.said);
  }

  /** The first wanted packet, received or still to come. */
  async packet(wanted: (packet: Packet) => boolean): Promise<Packet> {
    await this.until(() => this.packets.some(wanted), 'packet');
    const found = this.packets.find(wanted);
    assert.ok(found);
    return found;
  }

  /** Sends a call and returns its serial. */
  send(proc: number, payload: Buffer = Buffer.alloc(0), flags = 0): number {
    this.#serial++;
    this.socket.write(packet(proc, MessageType.CALL, flags, this.#serial, payload));
    return this.#serial;
  }

  async reply(serial: number): Promise<Reply> {
    return decodeReply(
      await this.packet(
        (each) => each.type === MessageType.REPLY && each.proc !== Proc.STDIN && each.serial === serial,
      ),
    );
  }

  async call(proc: number, payload: Buffer = Buffer.alloc(0), flags = 0): Promise<Reply> {
    return this.reply(this.send(proc, payload, flags));
  }

  /** A call that must succeed. */
  async ok(proc: number, payload: Buffer = Buffer.alloc(0), flags = 0): Promise<Buffer> {
    const reply = await this.call(proc, payload, flags);
    assert.deepEqual([reply.status, reply.detail], [Status.OK, '']);
    return reply.result;
  }

  /** A call that must fail with this errno; returns its detail. */
  async fails(errno: number, proc: number, payload: Buffer = Buffer.alloc(0), flags = 0): Promise<string> {
    const reply = await this.call(proc, payload, flags);
    assert.deepEqual([reply.status, reply.errno], [Status.ERROR, errno], reply.detail);
    return reply.detail;
  }

  /** Starts the application. @returns its process ID */
  async spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<number> {
    const flags = (options.flags ?? 0) | SpawnFlag.APPLICATION;
    const started = await this.ok(Proc.SPAWN, spawnPayload(argv, { ...options, flags }));
    this.application = started.readUInt32BE(0);
    return started.readUInt32BE(4);
  }

  /** Starts a process beside the application. @returns the guest's number for it */
  async spawnBeside(argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Promise<number> {
    return (await this.ok(Proc.SPAWN, spawnPayload(argv, { ...options, flags: options.flags ?? 0 }))).readUInt32BE(0);
  }

  /** Runs a shell script as the application. */
  async shell(script: string, options: SpawnOptions = {}): Promise<number> {
    return this.spawn(['/bin/sh', '-c', script], options);
  }

  stdin(data: Buffer | string, process = this.application): void {
    this.socket.write(packet(Proc.STDIN, MessageType.DATA, 0, process, Buffer.from(data)));
  }

  stdinEnd(process = this.application): void {
    this.stdin('', process);
  }

  /** Says that `bytes` more of a stream were received. */
  acknowledge(proc: number, bytes: number, process = this.application): void {
    this.socket.write(packet(proc, MessageType.REPLY, 0, process, u32(bytes)));
  }

  /** All bytes of STDOUT or STDERR so far. */
  output(proc: number, process = this.application): Buffer {
    return Buffer.concat(this.#ofStream(proc, process).map((each) => each.payload));
  }

  async outputHas(proc: number, text: string, process = this.application): Promise<void> {
    await this.until(() => this.output(proc, process).includes(text), `${JSON.stringify(text)} in the output`);
  }

  outputEnded(proc: number, process = this.application): boolean {
    return this.#ofStream(proc, process).some((each) => each.payload.length === 0);
  }

  #ofStream(proc: number, process: number): Packet[] {
    return this.packets.filter((each) => each.proc === proc && each.serial === process);
  }

  get acknowledged(): number {
    return this.acknowledgedOf(this.application);
  }

  acknowledgedOf(process: number): number {
    return this.#ofStream(Proc.STDIN, process).reduce((sum, each) => sum + each.payload.readUInt32BE(0), 0);
  }

  /** The raw wait status of a process. */
  async exit(process = this.application): Promise<number> {
    return (await this.exitPacket(process)).payload.readInt32BE(0);
  }

  exitPacket(process: number): Promise<Packet> {
    return this.packet((each) => each.proc === Proc.EXIT && each.serial === process);
  }

  /** Signals a process. */
  signal(number: number, process = this.application): Promise<Buffer> {
    return this.ok(Proc.SIGNAL, Buffer.concat([u32(process), u32(number)]));
  }

  quit(): void {
    this.socket.write(packet(Proc.QUIT, MessageType.MESSAGE, 0, 0, Buffer.alloc(0)));
  }

  /** The init's exit. Anything but 0 is a sanitizer's finding or a crash. */
  async ended(): Promise<void> {
    const code = await within(this.#ended, 'end of the init', () => this.said);
    assert.equal(code, 0, this.said);
  }

  /** Asks the init to end, and asserts that it ends well. */
  async finish(): Promise<void> {
    this.quit();
    await this.ended();
  }
}

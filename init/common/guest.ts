/**
 * The common init as a program in the guest. It talks to the native init over a socket pair, as a launcher would, and
 * to the launcher over the port, as a native init would. The launcher sends the sandbox (CONFIGURE) and then only
 * stdin, signals and sizes; this program does the rest with the code that the launcher runs otherwise. If the launcher
 * goes away, the sandbox goes on.
 *
 * At the end the native init closes its direction of the socket pair. This program closes the other direction once all
 * output is in the port. The native init then takes the port back and sends EXIT itself.
 */
import { read, write } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Channel, type RawReply } from '../../src/protocol/channel.js';
import { FieldReader, FieldWriter, ProtocolError } from '../../src/protocol/fields.js';
import { OperationError } from '../../src/protocol/operations.js';
import { encodePacket, type PacketHeader, PacketParser } from '../../src/protocol/packets.js';
import { encodeReady } from '../../src/protocol/ready.js';
import { HANDSHAKE_SYNC, HANDSHAKE_WAIT, MessageType, Proc, Status } from '../../src/protocol/wire.js';
import { spawnApplication } from './application.js';
import { findDevices } from './disks.js';
import { drivePlan, StepError } from './drive.js';
import type { Configuration, ConfigurationFailure } from './guest-message.js';
import { setUpNetwork } from './network.js';
import { NetworkError } from './network-errors.js';
import { planSandbox } from './plan.js';
import { setUpResolver } from './resolver.js';
import { attachSlots } from './slots.js';

/** Descriptors that the native init passes to this program: init/native/boot/node_init.c. */
const CHANNEL_FD = 3;
const PORT_FD = 4;
/** How often to look for a host on the port, in milliseconds. */
const LOOK_MS = 50;
/** In nanoseconds. */
const SECOND = 1_000_000_000n;
const EPROTO = 71;

const readPort = promisify(read);
const writePort = promisify(write);

/** The virtio-serial port. Reads and writes block, each on a thread of its own. */
class Port {
  #last: Promise<void> = Promise.resolve();
  #isGone = false;
  #giveUp: () => void = () => {};
  /** Frees writes that would wait for a host forever. */
  readonly #gone = new Promise<undefined>((resolve) => {
    this.#giveUp = () => resolve(undefined);
  });
  /** Packets that are not yet written. */
  pending = 0;

  /** Empty if the launcher is gone. */
  async read(): Promise<Buffer> {
    const { bytesRead, buffer } = await readPort(PORT_FD, Buffer.allocUnsafe(65_536), 0, 65_536, null);
    return buffer.subarray(0, bytesRead);
  }

  /** Drops what is still to be written: the launcher is gone. */
  abandon(): void {
    this.#isGone = true;
    this.#giveUp();
  }

  /** Resolves when all bytes are written or dropped. */
  write(bytes: Uint8Array): Promise<void> {
    this.pending += 1;
    this.#last = this.#last.then(async () => {
      for (let done = 0; done < bytes.length && !this.#isGone; ) {
        try {
          done += (await Promise.race([writePort(PORT_FD, bytes, done), this.#gone]))?.bytesWritten ?? 0;
        } catch {
          this.abandon();
        }
      }
      this.pending -= 1;
    });
    return this.#last;
  }

  packet(proc: number, type: number, payload: Uint8Array, status = 0, serial = 0): Promise<void> {
    return this.write(encodePacket(proc, type, status, serial, payload));
  }

  /** The guest's side of the handshake. Returns the bytes that came behind it. */
  async greet(): Promise<Buffer> {
    for (let answered = false; ; ) {
      const bytes = await this.read();
      if (bytes.length === 0) {
        // The host is gone; the next one starts the handshake anew.
        answered = false;
        await delay(LOOK_MS);
      }
      for (const [at, byte] of bytes.entries()) {
        if (byte === HANDSHAKE_WAIT && !answered) {
          answered = true;
          await this.write(Uint8Array.of(HANDSHAKE_SYNC));
        } else if (byte === HANDSHAKE_SYNC && answered) {
          return bytes.subarray(at + 1);
        }
      }
    }
  }
}

const port = new Port();
const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true, allowHalfOpen: true });
let nativeIsDone = false;

/** Closes the socket pair when the native init is done and all output is in the port. */
function closeWhenDone(channel: Channel): void {
  const left = channel.stdout.readableLength + channel.stderr.readableLength + port.pending;
  if (nativeIsDone && left === 0) socket.destroy();
}

function relay(stream: Readable, proc: number, channel: Channel): void {
  stream.on('data', (bytes: Buffer) => {
    stream.pause();
    void port.packet(proc, MessageType.DATA, bytes).then(() => {
      stream.resume();
      closeWhenDone(channel);
    });
  });
  stream.on('end', () => void port.packet(proc, MessageType.DATA, new Uint8Array()).then(() => closeWhenDone(channel)));
}

/**
 * Sets up the sandbox and starts the application.
 * @param mode `arrange`: stop before the application, because the launcher has more to set up and starts it itself
 */
async function configure(channel: Channel, payload: Buffer, mode: 'configure' | 'arrange'): Promise<void> {
  const arrived = process.hrtime.bigint();
  const { guest, now, entropy } = JSON.parse(argumentsOf(payload, (r) => r.str())) as Configuration;
  const { network } = guest;
  await inStep('slots', attachSlots(channel, guest));
  const names = network && (await inStep('interfaces', setUpNetwork(channel, guest, network)));
  const devices = await findDevices(channel, guest);
  const plan = planSandbox(guest, {
    now: now && laterThan(now, arrived),
    entropy: Buffer.from(entropy, 'base64'),
    devices,
  });
  const driving = drivePlan(channel, plan);
  if (names !== undefined) {
    await driving;
    const lack = await inStep('resolver', setUpResolver(channel, guest, names));
    if (lack !== undefined) process.stderr.write(`warning: ${lack}\n`);
  }
  if (mode === 'arrange') {
    await driving;
    return;
  }
  const spawning = spawnApplication(channel, guest);
  spawning.catch(() => {});
  await driving;
  await spawning;
}

/** The host's time now, from what it was at `arrived`. Under emulation, Node.js takes a while to come this far. */
function laterThan(
  { seconds, nanoseconds }: NonNullable<Configuration['now']>,
  arrived: bigint,
): { seconds: bigint; nanoseconds: number } {
  const time = BigInt(seconds) * SECOND + BigInt(nanoseconds) + process.hrtime.bigint() - arrived;
  return { seconds: time / SECOND, nanoseconds: Number(time % SECOND) };
}

/** Makes a failed operation a failure of `step`. */
async function inStep<T>(step: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof OperationError ? new StepError(step, error) : error;
  }
}

/** The fields from which the launcher makes the same error as if it had made the call itself. */
function failureOf(error: unknown): { errno: number; detail: string } {
  const failed = error instanceof StepError ? error.operation : error;
  const unread = error instanceof ProtocolError ? EPROTO : 0;
  const { operation = 'configure', errno = unread } = failed instanceof OperationError ? failed : {};
  const message = error instanceof Error ? error.message : String(error);
  const step = error instanceof StepError ? error.step : undefined;
  const { code, remedy } = error instanceof NetworkError ? error : {};
  const failure: ConfigurationFailure = {
    operation,
    message,
    ...(step === undefined ? {} : { step }),
    ...(code === undefined || remedy === undefined ? {} : { network: { code, remedy } }),
  };
  return { errno, detail: JSON.stringify(failure) };
}

async function answer(header: PacketHeader, channel: Channel, work: Promise<unknown>): Promise<void> {
  const w = new FieldWriter();
  let status: number = Status.OK;
  try {
    await work;
    w.u32(0);
  } catch (error) {
    status = Status.ERROR;
    const { errno, detail } = failureOf(error);
    w.u32(0).u32(errno).str(detail);
  }
  await port.packet(header.proc, MessageType.REPLY, w.finish(), status, header.serial);
  closeWhenDone(channel);
}

/** Forwards any other call to the native init. */
async function handOn({ proc, status: flags, serial }: PacketHeader, channel: Channel, payload: Buffer): Promise<void> {
  const reply = await channel.forward(proc, flags, payload).catch((error: unknown): RawReply => {
    const message = error instanceof Error ? error.message : String(error);
    return { status: Status.ERROR, payload: new FieldWriter().u32(0).u32(0).str(message).finish() };
  });
  await port.packet(proc, MessageType.REPLY, reply.payload, reply.status, serial);
  closeWhenDone(channel);
}

/** @throws {ProtocolError} unless `read` reads the payload to the last byte */
function argumentsOf<T>(payload: Buffer, read: (r: FieldReader) => T): T {
  const r = new FieldReader(payload);
  const value = read(r);
  r.end();
  return value;
}

function fromLauncher(channel: Channel, header: PacketHeader, payload: Buffer): void {
  const { proc, type } = header;
  if (type === MessageType.DATA && proc === Proc.STDIN) {
    if (payload.length === 0) {
      channel.stdin.end();
      return;
    }
    channel.stdin.write(payload, () => {
      void port.packet(Proc.STDIN, MessageType.REPLY, new FieldWriter().u32(payload.length).finish());
    });
  } else if (type === MessageType.MESSAGE && proc === Proc.QUIT) {
    channel.quit();
  } else if (type === MessageType.CALL && (proc === Proc.CONFIGURE || proc === Proc.ARRANGE)) {
    void answer(header, channel, configure(channel, payload, proc === Proc.ARRANGE ? 'arrange' : 'configure'));
  } else if (type === MessageType.CALL) {
    void handOn(header, channel, payload);
  }
}

async function main(): Promise<void> {
  const early = await port.greet();
  const { channel, ready } = await Channel.open(socket);
  socket.on('end', () => {
    nativeIsDone = true;
    closeWhenDone(channel);
  });
  channel.stdin.on('error', () => {});
  await port.packet(Proc.READY, MessageType.MESSAGE, encodeReady(ready));
  relay(channel.stdout, Proc.STDOUT, channel);
  relay(channel.stderr, Proc.STDERR, channel);
  const parser = new PacketParser({
    stream: () => {},
    streamEnd: () => {},
    packet: (header, payload) => fromLauncher(channel, header, payload),
  });
  parser.push(early);
  for (;;) {
    const bytes = await port.read();
    if (bytes.length === 0) break;
    parser.push(bytes);
  }
  port.abandon();
  closeWhenDone(channel);
}

void main();

/**
 * The common init as a program in the guest. It talks to the native init over a socket pair, as a launcher would, and
 * to the launcher over the port, as a native init would. The launcher sends the sandbox (CONFIGURE) and then only
 * what is about processes, which this program passes on; it does the rest with the code that the launcher runs otherwise.
 * If the launcher goes away, the sandbox goes on.
 *
 * At the end the native init closes its direction of the socket pair. This program closes the other direction once all
 * output is in the port. The native init then takes the port back and sends EXIT itself.
 */
import { read, write } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { Channel } from '../../src/protocol/channel.js';
import { FieldReader, FieldWriter, ProtocolError } from '../../src/protocol/fields.js';
import { OperationError } from '../../src/protocol/operations.js';
import { type PacketHeader, PacketParser } from '../../src/protocol/packets.js';
import { encodeReady } from '../../src/protocol/ready.js';
import type { RawReply } from '../../src/protocol/relay.js';
import { MessageType, Proc, Status } from '../../src/protocol/wire.js';
import { spawnApplication } from './application.js';
import { findDevices } from './disks.js';
import { drivePlan, StepError } from './drive.js';
import type { Configuration, ConfigurationFailure } from './guest-message.js';
import { setUpNetwork } from './network.js';
import { NetworkError } from './network-errors.js';
import { setUpHostFiles } from './oci-root.js';
import { planSandbox } from './plan.js';
import { Port } from './port.js';
import { RelayedStreams } from './relayed-streams.js';
import { setUpResolver } from './resolver.js';
import { attachSlots } from './slots.js';

/** Descriptors that the native init passes to this program: init/native/boot/node_init.c. */
const CHANNEL_FD = 3;
const PORT_FD = 4;
/** In nanoseconds. */
const SECOND = 1_000_000_000n;
const EPROTO = 71;

const readPort = promisify(read);
const writePort = promisify(write);

const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true, allowHalfOpen: true });
const port = new Port(
  {
    read: (buffer) => readPort(PORT_FD, buffer, 0, buffer.length, null),
    write: (bytes, at) => writePort(PORT_FD, bytes, at),
  },
  socket,
);
let nativeIsDone = false;

/** Closes the socket pair when the native init is done and all output is in the port. */
function closeWhenDone(): void {
  if (nativeIsDone && port.pending === 0) socket.destroy();
}

/** Writes a packet of the native init's to the port. */
function toLauncher(proc: number, type: number, serial: number, payload: Uint8Array): void {
  void port.packet(proc, type, payload, 0, serial).then(() => closeWhenDone());
}

const streams = new RelayedStreams(toLauncher);

/**
 * Sets up the sandbox and starts the application.
 * @param mode `arrange`: stop before the application, because the launcher has more to set up and starts it itself
 * @returns the native init's number for the application
 */
async function configure(
  channel: Channel,
  payload: Buffer,
  mode: 'configure' | 'arrange',
): Promise<number | undefined> {
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
  if (guest.ociRoot) {
    await driving;
    const lacks = await inStep('host files', setUpHostFiles(channel, guest));
    for (const lack of lacks) process.stderr.write(`warning: ${lack}\n`);
  }
  if (names !== undefined) {
    await driving;
    const lack = await inStep('resolver', setUpResolver(channel, guest, names));
    if (lack !== undefined) process.stderr.write(`warning: ${lack}\n`);
  }
  if (mode === 'arrange') {
    await driving;
    return undefined;
  }
  const spawning = spawnApplication(channel, guest);
  spawning.catch(() => {});
  await driving;
  return spawning;
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

async function answer(header: PacketHeader, work: Promise<number | undefined>): Promise<void> {
  const w = new FieldWriter();
  let status: number = Status.OK;
  let application: number | undefined;
  try {
    application = await work;
    w.u32(0);
    if (application !== undefined) w.u32(application);
  } catch (error) {
    status = Status.ERROR;
    const { errno, detail } = failureOf(error);
    w.u32(0).u32(errno).str(detail);
  }
  const told = port.packet(header.proc, MessageType.REPLY, w.finish(), status, header.serial);
  if (application !== undefined) streams.announce(application);
  await told;
  closeWhenDone();
}

/** Forwards any other call to the native init. */
async function handOn({ proc, status: flags, serial }: PacketHeader, channel: Channel, payload: Buffer): Promise<void> {
  const reply = await channel.forward(proc, flags, payload).catch((error: unknown): RawReply => {
    const message = error instanceof Error ? error.message : String(error);
    return { status: Status.ERROR, payload: new FieldWriter().u32(0).u32(0).str(message).finish() };
  });
  const told = port.packet(proc, MessageType.REPLY, reply.payload, reply.status, serial);
  if (proc === Proc.SPAWN && reply.status === Status.OK) streams.announce(processIn(reply.payload));
  await told;
  closeWhenDone();
}

/** The number in the answer to SPAWN, behind the time that it took. */
function processIn(payload: Buffer): number {
  const r = new FieldReader(payload);
  r.u32();
  return r.u32();
}

/** @throws {ProtocolError} unless `read` reads the payload to the last byte */
function argumentsOf<T>(payload: Buffer, read: (r: FieldReader) => T): T {
  const r = new FieldReader(payload);
  const value = read(r);
  r.end();
  return value;
}

function fromLauncher(channel: Channel, header: PacketHeader, payload: Buffer): void {
  const { proc, type, serial } = header;
  if (type === MessageType.DATA && proc === Proc.STDIN) {
    channel.forwardStream(proc, type, serial, payload);
  } else if (type === MessageType.REPLY && (proc === Proc.STDOUT || proc === Proc.STDERR)) {
    streams.taken(
      proc,
      serial,
      argumentsOf(payload, (r) => r.u32()),
    );
    channel.forwardStream(proc, type, serial, payload);
  } else if (type === MessageType.MESSAGE && proc === Proc.QUIT) {
    channel.quit();
  } else if (type === MessageType.CALL && (proc === Proc.CONFIGURE || proc === Proc.ARRANGE)) {
    void answer(header, configure(channel, payload, proc === Proc.ARRANGE ? 'arrange' : 'configure'));
  } else if (type === MessageType.CALL) {
    void handOn(header, channel, payload);
  }
}

async function main(): Promise<void> {
  const early = await port.greet();
  const { channel, ready } = await Channel.open(socket, streams);
  socket.on('end', () => {
    nativeIsDone = true;
    closeWhenDone();
  });
  await port.packet(Proc.READY, MessageType.MESSAGE, encodeReady(ready));
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
  streams.abandon(channel);
  closeWhenDone();
}

void main();

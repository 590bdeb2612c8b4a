/** Bytes of the wire protocol: fields, operations and their answers. */
import type { CallOptions, Operation, OperationResult } from './operations.js';
import { CallFlag, HEADER_BYTES, MAX_PACKET_BYTES, MessageType, Proc, type ProcNumber } from './wire.js';

/** A packet or payload that is not what the protocol says. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}

/** Collects the fields of a payload. */
export class FieldWriter {
  readonly #parts: Buffer[] = [];
  #length = 0;

  u32(value: number): this {
    const field = Buffer.allocUnsafe(4);
    field.writeUInt32BE(value >>> 0);
    return this.#push(field);
  }

  u64(value: bigint): this {
    const field = Buffer.allocUnsafe(8);
    field.writeBigUInt64BE(BigInt.asUintN(64, value));
    return this.#push(field);
  }

  /** @throws {ProtocolError} for a string with a NUL byte, which no path, name or argument of Linux can hold */
  str(value: string): this {
    if (value.includes('\0')) throw new ProtocolError(`${JSON.stringify(value)} has a NUL byte in it`);
    return this.bytes(Buffer.from(value));
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    return this.#push(Buffer.from(value.buffer, value.byteOffset, value.length));
  }

  list<T>(values: readonly T[], write: (value: T) => void): this {
    this.u32(values.length);
    for (const value of values) write(value);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length);
  }

  #push(part: Buffer): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}

/** Reads the fields of a payload; every read checks that the bytes are there. */
export class FieldReader {
  readonly #payload: Buffer;
  #offset = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  u32(): number {
    return this.#take(4).readUInt32BE();
  }

  i32(): number {
    return this.#take(4).readInt32BE();
  }

  u64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  bytes(): Buffer {
    return this.#take(this.u32());
  }

  str(): string {
    return this.bytes().toString();
  }

  list<T>(read: () => T): T[] {
    const count = this.u32();
    // Every item takes at least four bytes, so a count beyond that is a lie that must not make us allocate.
    if (count > (this.#payload.length - this.#offset) / 4)
      throw new ProtocolError(`a list of ${count} items does not fit its packet`);
    return Array.from({ length: count }, read);
  }

  /** @throws {ProtocolError} when bytes are left over */
  end(): void {
    const left = this.#payload.length - this.#offset;
    if (left !== 0) throw new ProtocolError(`${left} bytes too many in a packet`);
  }

  #take(length: number): Buffer {
    if (length > this.#payload.length - this.#offset) throw new ProtocolError('a packet ends in the middle of a field');
    const field = this.#payload.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return field;
  }
}

/**
 * One packet, header included.
 * @throws {ProtocolError} when it is larger than the protocol allows
 */
export function encodePacket(proc: number, type: number, status: number, serial: number, payload: Uint8Array): Buffer {
  const length = HEADER_BYTES + payload.length;
  if (length > MAX_PACKET_BYTES)
    throw new ProtocolError(`a packet of ${length} bytes is larger than ${MAX_PACKET_BYTES}`);
  const packet = Buffer.allocUnsafe(length);
  packet.writeUInt32BE(length, 0);
  packet.writeUInt32BE(proc, 4);
  packet.writeUInt32BE(type, 8);
  packet.writeUInt32BE(status, 12);
  packet.writeUInt32BE(serial >>> 0, 16);
  packet.set(payload, HEADER_BYTES);
  return packet;
}

/**
 * An operation as a CALL packet.
 * @throws {ProtocolError} when it does not fit a packet or a string has a NUL byte
 */
export function encodeCall(operation: Operation, serial: number, options: CallOptions = {}): Buffer {
  const flags = (options.tolerate ? CallFlag.TOLERATE : 0) | (options.recover ? CallFlag.RECOVER : 0);
  return encodePacket(procOf[operation.op], MessageType.CALL, flags, serial, encodeArguments(operation));
}

const procOf: Record<Operation['op'], ProcNumber> = {
  mount: Proc.MOUNT,
  mkdir: Proc.MKDIR,
  symlink: Proc.SYMLINK,
  writeFile: Proc.WRITE_FILE,
  switchRoot: Proc.SWITCH_ROOT,
  linkUp: Proc.LINK_UP,
  address: Proc.ADDRESS,
  route: Proc.ROUTE,
  hostname: Proc.HOSTNAME,
  setClock: Proc.SET_CLOCK,
  addEntropy: Proc.ADD_ENTROPY,
  spawn: Proc.SPAWN,
  signal: Proc.SIGNAL,
  resize: Proc.RESIZE,
  sync: Proc.SYNC,
  unmount: Proc.UNMOUNT,
  powerOff: Proc.POWER_OFF,
  loadModule: Proc.LOAD_MODULE,
  run: Proc.RUN,
  readFile: Proc.READ_FILE,
  listDir: Proc.LIST_DIR,
  stat: Proc.STAT,
  chown: Proc.CHOWN,
  chmod: Proc.CHMOD,
  mknod: Proc.MKNOD,
  readLink: Proc.READ_LINK,
  configure: Proc.CONFIGURE,
  sessions: Proc.SESSIONS,
  terminal: Proc.TERMINAL,
};

function encodeArguments(operation: Operation): Buffer {
  const w = new FieldWriter();
  switch (operation.op) {
    case 'mount':
      w.str(operation.source).str(operation.target).str(operation.fstype).u32(operation.flags).str(operation.data);
      break;
    case 'mkdir':
    case 'chmod':
      w.str(operation.path).u32(operation.mode);
      break;
    case 'mknod':
      w.str(operation.path).u32(operation.mode).u32(operation.deviceMajor).u32(operation.deviceMinor);
      break;
    case 'symlink':
      w.str(operation.target).str(operation.path);
      break;
    case 'writeFile':
      w.str(operation.path).u32(operation.mode).u32(operation.flags).bytes(operation.data);
      break;
    case 'switchRoot':
    case 'listDir':
    case 'readLink':
      w.str(operation.path);
      break;
    case 'linkUp':
      w.str(operation.link);
      break;
    case 'address':
      w.str(operation.link).str(operation.address).u32(operation.prefix).str(operation.broadcast);
      break;
    case 'route':
      w.str(operation.link).str(operation.target).u32(operation.prefix).str(operation.gateway);
      break;
    case 'hostname':
      w.str(operation.name);
      break;
    case 'setClock':
      w.u64(operation.seconds).u32(operation.nanoseconds);
      break;
    case 'addEntropy':
      w.bytes(operation.data);
      break;
    case 'spawn':
      w.list(operation.argv, (value) => w.str(value));
      w.list(operation.environment, (value) => w.str(value));
      w.str(operation.cwd).u32(operation.uid).u32(operation.gid);
      w.list(operation.groups, (value) => w.u32(value));
      w.u64(operation.capabilities).u32(operation.flags).u32(operation.rows).u32(operation.columns);
      break;
    case 'signal':
      w.u32(operation.signal);
      break;
    case 'resize':
      w.u32(operation.rows).u32(operation.columns);
      break;
    case 'unmount':
      w.str(operation.path).u32(operation.flags);
      break;
    case 'loadModule':
      w.str(operation.path).str(operation.parameters);
      break;
    case 'run':
      w.list(operation.argv, (value) => w.str(value));
      w.list(operation.environment, (value) => w.str(value));
      w.bytes(operation.stdin).u32(operation.timeout);
      break;
    case 'readFile':
      w.str(operation.path).u32(operation.limit);
      break;
    case 'stat':
      w.str(operation.path).u32(operation.follow ? 1 : 0);
      break;
    case 'chown':
      w.str(operation.path).u32(operation.uid).u32(operation.gid);
      break;
    case 'sessions':
      w.str(operation.place);
      break;
    case 'terminal':
      w.str(operation.device);
      w.list(operation.argv, (value) => w.str(value));
      w.list(operation.environment, (value) => w.str(value));
      break;
    case 'configure':
      w.str(operation.sandbox);
      break;
    case 'sync':
    case 'powerOff':
      break;
  }
  return w.finish();
}

/**
 * The payload of an OK reply to `operation`.
 * @throws {ProtocolError} when it is not what the operation answers
 */
export function decodeResult<T extends Operation>(operation: T, payload: Buffer): OperationResult<T> {
  const r = new FieldReader(payload);
  const microseconds = r.u32();
  const value = decodeValue(operation, r) as OperationResult<T>['value'];
  r.end();
  return { microseconds, value };
}

function decodeValue(operation: Operation, r: FieldReader): unknown {
  switch (operation.op) {
    case 'spawn':
      return r.u32();
    case 'run':
      return { status: r.i32(), output: r.bytes() };
    case 'readLink':
      return r.str();
    case 'readFile':
      return r.bytes();
    case 'listDir':
      return r.list(() => r.str());
    case 'stat':
      return { mode: r.u32(), uid: r.u32(), gid: r.u32(), size: r.u64(), deviceMajor: r.u32(), deviceMinor: r.u32() };
    default:
      return undefined;
  }
}

/** What the guest says of itself first. Times are microseconds of its CLOCK_BOOTTIME. */
export interface GuestReady {
  readonly protocol: number;
  readonly kernelRelease: string;
  readonly initStarted: bigint;
  readonly initReady: bigint;
  readonly modules: readonly { readonly name: string; readonly errno: number; readonly microseconds: number }[];
}

/** What {@link decodeReady} reads. */
export function encodeReady(ready: GuestReady): Buffer {
  const w = new FieldWriter();
  w.u32(ready.protocol).str(ready.kernelRelease).u64(ready.initStarted).u64(ready.initReady);
  w.list(ready.modules, ({ name, errno, microseconds }) => w.str(name).u32(errno).u32(microseconds));
  return w.finish();
}

/** @throws {ProtocolError} when the payload is not a READY */
export function decodeReady(payload: Buffer): GuestReady {
  const r = new FieldReader(payload);
  const ready: GuestReady = {
    protocol: r.u32(),
    kernelRelease: r.str(),
    initStarted: r.u64(),
    initReady: r.u64(),
    modules: r.list(() => ({ name: r.str(), errno: r.u32(), microseconds: r.u32() })),
  };
  r.end();
  return ready;
}

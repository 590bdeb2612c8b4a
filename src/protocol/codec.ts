/** Encodes operations, and decodes their replies. */
import { FieldReader, FieldWriter } from './fields.js';
import { type CallOptions, type IdMap, type Operation, OperationError, type OperationResult } from './operations.js';
import { encodePacket } from './packets.js';
import { CallFlag, MessageType, Proc, type ProcNumber, Status } from './wire.js';

/**
 * Encodes an operation as a CALL packet.
 *
 * @throws {ProtocolError} when it does not fit into a packet, or a string has a NUL byte
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
  clearMemory: Proc.CLEAR_MEMORY,
  arrange: Proc.ARRANGE,
  userNamespace: Proc.USER_NAMESPACE,
  mapMount: Proc.MAP_MOUNT,
  keep: Proc.KEEP,
  control: Proc.CONTROL,
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
    case 'keep':
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
      w.strings(operation.argv).strings(operation.environment);
      w.str(operation.cwd).u32(operation.uid).u32(operation.gid);
      w.list(operation.groups, (value) => w.u32(value));
      w.u64(operation.capabilities).u32(operation.flags).u32(operation.rows).u32(operation.columns);
      w.u32(operation.timeLimit);
      break;
    case 'signal':
      w.u32(operation.process).u32(operation.signal);
      break;
    case 'resize':
      w.u32(operation.process).u32(operation.rows).u32(operation.columns);
      break;
    case 'unmount':
      w.str(operation.path).u32(operation.flags);
      break;
    case 'loadModule':
      w.str(operation.path).str(operation.parameters);
      break;
    case 'run':
      w.strings(operation.argv).strings(operation.environment).bytes(operation.stdin).u32(operation.timeout);
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
      w.str(operation.endpoint);
      break;
    case 'terminal':
      w.str(operation.device).strings(operation.argv).strings(operation.environment);
      break;
    case 'clearMemory':
      w.u32(operation.mebibytes);
      break;
    case 'configure':
    case 'arrange':
      w.str(operation.sandbox);
      break;
    case 'userNamespace':
      w.u32(operation.map.uids.length).list(idNumbers(operation.map), (value) => w.u32(value));
      break;
    case 'mapMount':
      w.str(operation.source).str(operation.target).u32(operation.flags);
      break;
    case 'control':
      w.str(operation.request);
      break;
    case 'sync':
    case 'powerOff':
      break;
  }
  return w.finish();
}

function idNumbers({ uids, gids }: IdMap): number[] {
  return [...uids, ...gids].flatMap(({ inside, outside, count }) => [inside, outside, count]);
}

/**
 * Decodes a reply whose status is not OK.
 *
 * @throws {ProtocolError} when the payload is malformed
 */
export function decodeFailure({ op }: Operation, status: number, payload: Buffer): OperationError {
  if (status === Status.SKIPPED)
    return new OperationError(op, 0, `${op} was not tried, because an earlier step failed`, true);
  const r = new FieldReader(payload);
  r.u32();
  const errno = r.u32();
  return new OperationError(op, errno, r.str());
}

/**
 * Decodes the payload of an OK reply.
 *
 * @throws {ProtocolError} when the payload is malformed
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
      return { process: r.u32(), pid: r.u32() };
    case 'configure':
      return r.u32();
    case 'run':
      return { status: r.i32(), output: r.bytes() };
    case 'readLink':
    case 'control':
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

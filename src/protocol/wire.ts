/**
 * The wire protocol's numbers and limits. docs/protocol.md describes it; init/native/protocol.h holds the same numbers, and a unit test
 * compares the two.
 *
 * Handshake, framing and the procs up to QUIT are libvirt-sandbox's; the rest is this project's.
 */

/** The host sends this byte until the guest answers with {@link HANDSHAKE_SYNC}. */
export const HANDSHAKE_WAIT = 0x1b;
export const HANDSHAKE_SYNC = 0x1c;

export const PROTOCOL_VERSION = 1;

/** u32 length, proc, type, status, serial. */
export const HEADER_BYTES = 20;
/** Largest packet, header included. */
export const MAX_PACKET_BYTES = 262144;
/** The same for SPAWN, and for CONFIGURE and ARRANGE, which have its words: Linux takes 2 MiB of arguments and environment. */
export const MAX_SPAWN_BYTES = 2359296;
/** How much stdin the host may have sent that the guest has not acknowledged. */
export const STDIN_WINDOW_BYTES = 524288;

/** Name of the virtio-serial port that carries the channel. */
export const CHANNEL_NAME = 'org.virt-sandbox.channel.0';

/** Name of the virtio-serial port that carries sessions of a root shell. */
export const SHELL_NAME = 'org.virt-sandbox.shell.0';

export const Proc = {
  STDIN: 1,
  STDOUT: 2,
  STDERR: 3,
  EXIT: 4,
  QUIT: 5,
  READY: 6,
  MOUNT: 32,
  MKDIR: 33,
  SYMLINK: 34,
  WRITE_FILE: 35,
  SWITCH_ROOT: 36,
  LINK_UP: 37,
  ADDRESS: 38,
  ROUTE: 39,
  HOSTNAME: 40,
  SET_CLOCK: 41,
  ADD_ENTROPY: 42,
  SPAWN: 43,
  SIGNAL: 44,
  RESIZE: 45,
  SYNC: 46,
  UNMOUNT: 47,
  POWER_OFF: 48,
  LOAD_MODULE: 49,
  RUN: 50,
  READ_FILE: 51,
  LIST_DIR: 52,
  STAT: 53,
  CHOWN: 54,
  CHMOD: 55,
  MKNOD: 56,
  READ_LINK: 57,
  CONFIGURE: 58,
  SESSIONS: 60,
  TERMINAL: 61,
  CLEAR_MEMORY: 62,
  ARRANGE: 63,
} as const;
export type ProcNumber = (typeof Proc)[keyof typeof Proc];

/** Calls with packets of the second size. */
const LONG: ReadonlySet<number> = new Set([Proc.SPAWN, Proc.CONFIGURE, Proc.ARRANGE]);

/** Largest packet of that kind, header included. */
export function maxPacketBytes(proc: number, type: number): number {
  const isLong = type === MessageType.CALL && LONG.has(proc);
  return isLong ? MAX_SPAWN_BYTES : MAX_PACKET_BYTES;
}

export const MessageType = {
  /** An event that wants no answer: EXIT, QUIT, READY. */
  MESSAGE: 0,
  /** Bytes of a stream: STDIN, STDOUT, STDERR. */
  DATA: 1,
  /** An operation, host to guest. */
  CALL: 2,
  /** The answer to a CALL, with its serial; also, with proc STDIN, the acknowledgement of stdin bytes. */
  REPLY: 3,
} as const;

export const Status = {
  OK: 0,
  ERROR: 1,
  /** Not tried, because an earlier CALL failed. */
  SKIPPED: 2,
} as const;

/** Flags in the `status` field of a CALL. */
export const CallFlag = {
  /** A failure of this call does not make the guest skip the calls behind it. */
  TOLERATE: 1,
  /** Clears the guest's failed state, so that this call and those behind it are carried out. */
  RECOVER: 2,
} as const;

/** Flags of SPAWN. */
export const SpawnFlag = {
  /** Give it a pseudo-terminal that becomes its controlling terminal; stdout and stderr are then one stream, sent as STDOUT. */
  PTY: 1,
  /** Only with PTY: descriptor 3 is a pipe that is sent as STDERR, for a tracer that must not write to the terminal. */
  TRACE: 2,
} as const;

/** Flags of WRITE_FILE. */
export const WriteFlag = {
  APPEND: 1,
  /** The directory of the file is made where it is missing. */
  PARENTS: 2,
  /** Fail with EEXIST where the file exists. */
  EXCLUSIVE: 4,
} as const;

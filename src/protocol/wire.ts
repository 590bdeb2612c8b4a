/**
 * Numbers and limits of the wire protocol. docs/protocol.md describes it. init/native/transport/protocol.h has the same
 * numbers; a unit test compares them.
 *
 * Handshake, framing and the procs up to QUIT are those of libvirt-sandbox. The rest is this project's own.
 */

/** The host repeats this byte until the guest answers with {@link HANDSHAKE_SYNC}. */
export const HANDSHAKE_WAIT = 0x1b;
export const HANDSHAKE_SYNC = 0x1c;

export const PROTOCOL_VERSION = 2;

/** A header has five u32: length, proc, type, status, serial. */
export const HEADER_BYTES = 20;
/** Largest packet, including its header. */
export const MAX_PACKET_BYTES = 262144;
/**
 * Largest SPAWN, and largest CONFIGURE and ARRANGE, which contain its strings. Linux allows 2 MiB of arguments and
 * environment.
 */
export const MAX_SPAWN_BYTES = 2359296;
/** Most bytes of a process's stdin that the host may send ahead of the guest's acknowledgements. */
export const STDIN_WINDOW_BYTES = 524288;
/** Most bytes of one output stream that the guest may send ahead of the host's acknowledgements. */
export const OUTPUT_WINDOW_BYTES = 1048576;
/** Most processes that the host may have started, and that have not sent EXIT. */
export const MAX_PROCESSES = 256;
/** The longest time limit of a process, in milliseconds: a u32. */
export const MAX_TIME_LIMIT = 0xffff_ffff;

/** The init's descriptor of the directory of the first KEEP, and of a second one. */
export const KEPT_FD = 100;
export const KEPT_SECOND_FD = 101;

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
  USER_NAMESPACE: 64,
  MAP_MOUNT: 65,
  KEEP: 66,
  /** Not of a guest: a holder of a sandbox answers it, see src/control/server.ts. */
  CONTROL: 80,
} as const;
export type ProcNumber = (typeof Proc)[keyof typeof Proc];

/** Calls that may have {@link MAX_SPAWN_BYTES}. */
const LONG: ReadonlySet<number> = new Set([Proc.SPAWN, Proc.CONFIGURE, Proc.ARRANGE]);

/** Largest packet of a kind, including its header. */
export function maxPacketBytes(proc: number, type: number): number {
  const isLong = type === MessageType.CALL && LONG.has(proc);
  return isLong ? MAX_SPAWN_BYTES : MAX_PACKET_BYTES;
}

export const MessageType = {
  /** An event without a reply: EXIT, QUIT, READY. */
  MESSAGE: 0,
  /** Bytes of a stream: STDIN, STDOUT, STDERR. */
  DATA: 1,
  /** An operation, host to guest. */
  CALL: 2,
  /** The reply to a CALL, with the same serial. With the proc of a stream: the acknowledgement of its bytes. */
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
  /** If this call fails, the guest does not skip later calls. */
  TOLERATE: 1,
  /** Clears the guest's failed state, so that this call and later ones are carried out. */
  RECOVER: 2,
} as const;

/** Flags of SPAWN. */
export const SpawnFlag = {
  /**
   * The process gets a pseudo-terminal as its controlling terminal. stdout and stderr are then one stream, sent as
   * STDOUT.
   */
  PTY: 1,
  /** Only with PTY: descriptor 3 is a pipe, sent as STDERR, for a tracer that must not write to the terminal. */
  TRACE: 2,
  /** In a container, an application without capabilities may make user namespaces. */
  NAMESPACES: 4,
  /** The process that the sandbox is for. What it leaves running is killed when it has ended, and its EXIT comes last. */
  APPLICATION: 8,
  /** argv[0] is a program of the init itself: docs/protocol.md, "Programs of the init". */
  BUILTIN: 16,
} as const;

/** Flags of EXIT. */
export const ExitFlag = {
  /** The process was killed because its time was over. */
  TIMED_OUT: 1,
} as const;

/** Flags of MAP_MOUNT. */
export const MapFlag = {
  /** If the file system cannot map ids, mount it as it is. */
  OPTIONAL: 1,
} as const;

/** Flags of WRITE_FILE. */
export const WriteFlag = {
  APPEND: 1,
  /** Make the file's missing parent directories. */
  PARENTS: 2,
  /** Fail with EEXIST if the file exists. */
  EXCLUSIVE: 4,
} as const;

/**
 * The operations of the native init, as values. The common init makes them, and the channel encodes them.
 * docs/protocol.md specifies each.
 */

export interface MountOperation {
  readonly op: 'mount';
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  /** MS_* flags of mount(2). */
  readonly flags: number;
  readonly data: string;
}

export interface SpawnOperation {
  readonly op: 'spawn';
  readonly argv: readonly string[];
  /** KEY=VALUE each. */
  readonly environment: readonly string[];
  /** Working directory; empty: /. */
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Bit mask of the capabilities to keep. */
  readonly capabilities: bigint;
  /** SpawnFlag bits. */
  readonly flags: number;
  /** Size of the terminal. */
  readonly rows: number;
  readonly columns: number;
  /** After this many milliseconds its process group is killed; 0: never. */
  readonly timeLimit: number;
}

/** Ids from `inside` on are, on the host, those from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Ids of a user namespace. user_namespaces(7) */
export interface IdMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export type Operation =
  | MountOperation
  | SpawnOperation
  | { readonly op: 'mkdir'; readonly path: string; readonly mode: number }
  | { readonly op: 'symlink'; readonly target: string; readonly path: string }
  | {
      readonly op: 'writeFile';
      readonly path: string;
      readonly mode: number;
      /** WriteFlag bits. */
      readonly flags: number;
      readonly data: Uint8Array;
    }
  | { readonly op: 'switchRoot'; readonly path: string }
  | { readonly op: 'linkUp'; readonly link: string }
  | {
      readonly op: 'address';
      readonly link: string;
      readonly address: string;
      readonly prefix: number;
      /** Empty: not set. */
      readonly broadcast: string;
    }
  | {
      readonly op: 'route';
      readonly link: string;
      readonly target: string;
      readonly prefix: number;
      readonly gateway: string;
    }
  | { readonly op: 'hostname'; readonly name: string }
  | { readonly op: 'setClock'; readonly seconds: bigint; readonly nanoseconds: number }
  | { readonly op: 'addEntropy'; readonly data: Uint8Array }
  /** `process`: the guest's number for it. */
  | { readonly op: 'signal'; readonly process: number; readonly signal: number }
  | { readonly op: 'resize'; readonly process: number; readonly rows: number; readonly columns: number }
  | { readonly op: 'sync' }
  /** `flags`: MNT_* of umount2(2). */
  | { readonly op: 'unmount'; readonly path: string; readonly flags: number }
  | { readonly op: 'powerOff' }
  | { readonly op: 'loadModule'; readonly path: string; readonly parameters: string }
  | {
      readonly op: 'run';
      readonly argv: readonly string[];
      readonly environment: readonly string[];
      readonly stdin: Uint8Array;
      /** In milliseconds, 1 to 60000. */
      readonly timeout: number;
    }
  | { readonly op: 'readFile'; readonly path: string; readonly limit: number }
  | { readonly op: 'listDir'; readonly path: string }
  | { readonly op: 'readLink'; readonly path: string }
  /**
   * For a common init that runs in the guest: the sandbox as JSON, see init/common/guest.ts. The result of `configure`
   * is the guest's number for the application.
   */
  | { readonly op: 'configure'; readonly sandbox: string }
  | { readonly op: 'arrange'; readonly sandbox: string }
  | { readonly op: 'stat'; readonly path: string; readonly follow: boolean }
  | { readonly op: 'chown'; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly op: 'chmod'; readonly path: string; readonly mode: number }
  | {
      readonly op: 'mknod';
      readonly path: string;
      /** File type (S_IF*) and permissions. */
      readonly mode: number;
      readonly deviceMajor: number;
      readonly deviceMinor: number;
    }
  /** Serves sessions for further hosts on a port, given by name, or on a terminal, given by path. */
  | { readonly op: 'sessions'; readonly endpoint: string }
  /** Runs `argv` on a terminal each time that Enter is pressed there. */
  | {
      readonly op: 'terminal';
      readonly device: string;
      readonly argv: readonly string[];
      readonly environment: readonly string[];
    }
  /** Zeroes free memory, so that it takes no room in a snapshot: 1 to 1024 MiB, at most half of what is free. */
  | { readonly op: 'clearMemory'; readonly mebibytes: number }
  /** For the holder of a sandbox, not for its guest: JSON, see src/control/requests.ts. */
  | { readonly op: 'control'; readonly request: string }
  /** Makes the user namespace that an application without capabilities runs in. */
  | { readonly op: 'userNamespace'; readonly map: IdMap }
  /** Mounts what is at `source` on `target` too, with owners as they are in the user namespace. */
  | {
      readonly op: 'mapMount';
      readonly source: string;
      readonly target: string;
      /** MapFlag bits. */
      readonly flags: number;
    }
  /** Holds a directory open as KEPT_FD of wire.ts, a second one as KEPT_SECOND_FD, also when no path leads there. */
  | { readonly op: 'keep'; readonly path: string };

export type OperationName = Operation['op'];

/** Result of `stat`. */
export interface GuestStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** Result of `spawn`. */
export interface GuestSpawn {
  /** The guest's number for the process, which streams, signals and its exit name it by. */
  readonly process: number;
  /** Its process ID. */
  readonly pid: number;
}

/** Result of `run`. */
export interface GuestRun {
  /** Raw wait status. */
  readonly status: number;
  readonly output: Uint8Array;
}

/** Result of each operation, without the time it took. */
export type ResultOf<T extends Operation> = T extends { op: 'spawn' }
  ? GuestSpawn
  : T extends { op: 'run' }
    ? GuestRun
    : T extends { op: 'readFile' }
      ? Uint8Array
      : T extends { op: 'listDir' }
        ? readonly string[]
        : T extends { op: 'readLink' | 'control' }
          ? string
          : T extends { op: 'stat' }
            ? GuestStat
            : T extends { op: 'configure' }
              ? number
              : undefined;

/** Result of an operation that succeeded. */
export interface OperationResult<T extends Operation> {
  /** Microseconds that the guest took. */
  readonly microseconds: number;
  readonly value: ResultOf<T>;
}

/** What happens when this call, or one before it, fails. */
export interface CallOptions {
  /** If this call fails, later calls are carried out all the same. */
  readonly tolerate?: boolean;
  /** This call and later ones are carried out even after a failure. */
  readonly recover?: boolean;
}

/** An operation that failed in the guest. */
export class OperationError extends Error {
  readonly operation: OperationName;
  /** 0 if there is none. */
  readonly errno: number;
  /** True if it was not tried, because an earlier call failed. */
  readonly skipped: boolean;

  constructor(operation: OperationName, errno: number, detail: string, skipped = false) {
    super(detail);
    this.name = 'OperationError';
    this.operation = operation;
    this.errno = errno;
    this.skipped = skipped;
  }
}

/** Carries out operations in a guest, through the launcher's channel or a socket pair inside the guest. */
export interface Guest {
  /**
   * Sends an operation at once, and resolves when the guest has replied. Calls need not wait for earlier ones; the
   * guest carries them out in order.
   *
   * @throws {OperationError} when the operation failed or was skipped
   */
  call<T extends Operation>(operation: T, options?: CallOptions): Promise<OperationResult<T>>;
}

/**
 * The operations that the native init carries out, as values. The common init makes them, the channel encodes them.
 * docs/protocol.md says precisely what each does.
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
  /** KEY=VALUE */
  readonly environment: readonly string[];
  /** Empty: / */
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Bit mask of the capabilities that stay. */
  readonly capabilities: bigint;
  /** SpawnFlag bits. */
  readonly flags: number;
  readonly rows: number;
  readonly columns: number;
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
      /** Empty: the usual one. */
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
  | { readonly op: 'signal'; readonly signal: number }
  | { readonly op: 'resize'; readonly rows: number; readonly columns: number }
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
      /** Milliseconds, 1 to 60000. */
      readonly timeout: number;
    }
  | { readonly op: 'readFile'; readonly path: string; readonly limit: number }
  | { readonly op: 'listDir'; readonly path: string }
  | { readonly op: 'readLink'; readonly path: string }
  /** For a common init in the guest: the sandbox, as JSON; see init/common/guest.ts. */
  | { readonly op: 'configure' | 'arrange'; readonly sandbox: string }
  | { readonly op: 'stat'; readonly path: string; readonly follow: boolean }
  | { readonly op: 'chown'; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly op: 'chmod'; readonly path: string; readonly mode: number }
  | {
      readonly op: 'mknod';
      readonly path: string;
      /** Type (S_IF*) and permissions. */
      readonly mode: number;
      readonly deviceMajor: number;
      readonly deviceMinor: number;
    }
  /** Serves hosts of their own on a port, by its name, or on a terminal, by its path. */
  | { readonly op: 'sessions'; readonly endpoint: string }
  /** Runs `argv` on a terminal, again and again, when Enter is pressed there. */
  | {
      readonly op: 'terminal';
      readonly device: string;
      readonly argv: readonly string[];
      readonly environment: readonly string[];
    }
  /** So much of the memory that is free has its old content taken away: 1 to 1024 MiB, and at most half of what is free. */
  | { readonly op: 'clearMemory'; readonly mebibytes: number };

export type OperationName = Operation['op'];

/** What `stat` answers. */
export interface GuestStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** What `run` answers. */
export interface GuestRun {
  /** Raw wait status. */
  readonly status: number;
  readonly output: Uint8Array;
}

/** What each operation answers beside the time that it took. */
export type ResultOf<T extends Operation> = T extends { op: 'spawn' }
  ? number
  : T extends { op: 'run' }
    ? GuestRun
    : T extends { op: 'readFile' }
      ? Uint8Array
      : T extends { op: 'listDir' }
        ? readonly string[]
        : T extends { op: 'readLink' }
          ? string
          : T extends { op: 'stat' }
            ? GuestStat
            : undefined;

/** The answer to an operation that succeeded. */
export interface OperationResult<T extends Operation> {
  /** Microseconds that the guest took. */
  readonly microseconds: number;
  readonly value: ResultOf<T>;
}

/** How a call is to be treated when it, or one before it, fails. */
export interface CallOptions {
  /** Its failure does not stop the calls behind it. */
  readonly tolerate?: boolean;
  /** It is carried out even after an earlier failure. */
  readonly recover?: boolean;
}

/** An operation that failed in the guest. */
export class OperationError extends Error {
  readonly operation: OperationName;
  readonly errno: number;
  /** True when it was not tried because an earlier one failed. */
  readonly skipped: boolean;

  constructor(operation: OperationName, errno: number, detail: string, skipped = false) {
    super(detail);
    this.name = 'OperationError';
    this.operation = operation;
    this.errno = errno;
    this.skipped = skipped;
  }
}

/** What drives a guest: the channel of the launcher, or the socket pair inside the guest. */
export interface Guest {
  /**
   * Sends an operation at once and answers when the guest did. Calls may be made without waiting for earlier ones; the guest keeps their order.
   * @throws {OperationError} when it failed or was skipped
   */
  call<T extends Operation>(operation: T, options?: CallOptions): Promise<OperationResult<T>>;
}

/**
 * What the common init is told: a sandbox as the guest sees it. Plain data, so that it can travel as JSON into a guest that runs the common
 * init itself.
 */

/** A mount to make, in order. */
export type GuestMount =
  | {
      readonly type: '9p';
      readonly tag: string;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | { readonly type: 'ram'; readonly target: string; readonly bytes: number }
  | { readonly type: 'bind'; readonly source: string; readonly target: string };

/** Size of the application's terminal, in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface GuestConfig {
  readonly hostname: string;
  /** The share that becomes the root. */
  readonly root: { readonly type: '9p'; readonly tag: string };
  readonly mounts: readonly GuestMount[];
  readonly identity: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
    readonly username: string;
    readonly home: string;
  };
  /** Keep every capability. */
  readonly privileged: boolean;
  /** Variables that the person asked for; they win over the usual ones. */
  readonly environment: readonly { readonly key: string; readonly value: string }[];
  /** undefined: the home directory, or / where that does not exist. */
  readonly cwd: string | undefined;
  readonly command: readonly string[];
  /** undefined: three pipes in place of a terminal. */
  readonly terminal: (TerminalSize & { readonly type: string }) | undefined;
}

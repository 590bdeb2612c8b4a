/** Options of a start besides the config, and its observers. */
import type { GuestTrace, TerminalSize } from '../../init/common/config.js';
import type { OperationReport } from '../../init/common/drive.js';
import type { Duration } from '../config/parsers/duration.js';
import type { SandboxConfig, Tuning } from '../config/types.js';
import type { PullProgress } from '../oci/progress.js';
import type { GuestReady } from '../protocol/ready.js';

/** The application's terminal. */
export interface Terminal extends TerminalSize {
  /** TERM */
  readonly type: string;
}

/** Callbacks that report on a start. */
export interface Observers {
  /** What is being done, for a user who waits. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** How far the pull of the image is whose file system becomes the root; ten times a second at most for one layer. */
  readonly onPull?: ((progress: PullProgress) => void) | undefined;
  /** A choice that was made, and why. */
  readonly onChoice?: ((sentence: string) => void) | undefined;
  /**
   * Called once before a machine starts that is emulated although the config leaves that open: why, and what to do
   * about it.
   */
  readonly onFallback?: ((sentence: string) => void) | undefined;
  /** A problem that does not stop the sandbox. */
  readonly onWarning?: ((sentence: string) => void) | undefined;
  /** Every byte of the guest's console. */
  readonly onConsole?: ((chunk: Buffer) => void) | undefined;
  readonly onReady?: ((ready: GuestReady) => void) | undefined;
  /** Every operation of the common init. */
  readonly onOperation?: ((report: OperationReport) => void) | undefined;
}

/** A start that is paused before a step. */
export interface Stop {
  readonly step: string;
  readonly name: string;
  /** The state directory of the sandbox. */
  readonly stateDirectory: string;
  /** Aborts if the sandbox ends meanwhile. */
  readonly ended: AbortSignal;
}

export interface Breakpoint {
  /** Name of the step; `spawn` starts the application. */
  readonly step: string;
  /**
   * Called before the step. The start goes on when it returns; the deadline is paused meanwhile.
   * @returns false to give up the start
   */
  readonly onStop: (stop: Stop) => Promise<boolean>;
}

/** What differs from the defaults. */
export type PartialConfig = Partial<Omit<SandboxConfig, 'tuning'>> & { readonly tuning?: Partial<Tuning> | undefined };

/** What a start is given besides the config. */
export interface LaunchOptions extends Observers {
  /**
   * libvirt URI; undefined: LIBVIRT_DEFAULT_URI, else `uri_default` of libvirt.conf, else a daemon or the embedded
   * driver.
   */
  readonly connect?: string | undefined;
  /** Boot profile: a name (profiles/) or a path; undefined: VIRT_SANDBOX_PROFILE, else `default`. */
  readonly profile?: string | undefined;
  /** Boot image: a name, an id, or a directory (with a slash); undefined: one is found or built. */
  readonly image?: string | undefined;
  /** Show kernel messages and the init's steps on the console. */
  readonly debugInit?: boolean | undefined;
  /** Run the application under the root's strace. The trace is on stderr, alone if the application has a terminal. */
  readonly trace?: GuestTrace | undefined;
  /** Where to pause, and what to do then. */
  readonly breakpoint?: Breakpoint | undefined;
  /** The application's terminal, if the config asks for one. */
  readonly terminal?: Terminal | undefined;
  /** Descriptor of the local terminal. Its settings are restored even if this process is killed. */
  readonly terminalFd?: number | undefined;
  /** After this many milliseconds the application's process group is killed. */
  readonly timeLimit?: number | undefined;
  /**
   * Serves the sandbox to other processes of this user, and to root: `connectSandbox` finds it when it runs. Default: no
   * other process finds it.
   */
  readonly control?: boolean | undefined;
  /**
   * The domain goes on when libvirtd is started again, as that of a service always does: the supervisor ends it.
   * @internal
   */
  readonly outlivesDaemon?: boolean | undefined;
  /** Cancels the start, or stops the sandbox. */
  readonly signal?: AbortSignal | undefined;
}

/** What a program gives a start besides the sandbox. */
export interface StartOptions extends Omit<LaunchOptions, 'image' | 'profile' | 'timeLimit' | 'outlivesDaemon'> {
  /** After this time the application's process group is killed. Milliseconds, or a text: `500ms`, `5s`, `2m`, `1h`. */
  readonly timeLimit?: Duration | undefined;
  /** @deprecated Give the `image` of the sandbox. */
  readonly image?: string | undefined;
  /** @deprecated Give the `profile` of the sandbox. */
  readonly profile?: string | undefined;
}

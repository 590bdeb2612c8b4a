/** What a start is told beside the config. */
import type { GuestTrace, TerminalSize } from '../../init/common/config.js';
import type { OperationReport } from '../../init/common/drive.js';
import type { GuestReady } from '../protocol/ready.js';

/** The terminal that the application is to have. */
export interface Terminal extends TerminalSize {
  /** TERM */
  readonly type: string;
}

/** Told what happens on the way. All of them are optional. */
export interface Observers {
  /** What is being done, for a person who waits. */
  readonly onProgress?: (message: string) => void;
  /** A choice that was made, and why. */
  readonly onChoice?: (sentence: string) => void;
  /** Something that the person should know although the sandbox goes on. */
  readonly onWarning?: (sentence: string) => void;
  /** Every byte of the guest's console. */
  readonly onConsole?: (chunk: Buffer) => void;
  readonly onReady?: (ready: GuestReady) => void;
  /** Every operation of the common init. */
  readonly onOperation?: (report: OperationReport) => void;
}

/** The plan stands still before a step. */
export interface Stop {
  readonly step: string;
  readonly name: string;
  /** The state directory of the sandbox. */
  readonly stateDirectory: string;
  /** Aborts when the sandbox ends meanwhile. */
  readonly ended: AbortSignal;
}

export interface Breakpoint {
  /** Name of the step; `spawn` is the application itself. */
  readonly step: string;
  /**
   * Called when the plan has come there; the start goes on when it returns. There is no limit of time.
   * @returns whether to go on; false gives the start up
   */
  readonly onStop: (stop: Stop) => Promise<boolean>;
}

export interface LaunchOptions extends Observers {
  /** libvirt URI; undefined: LIBVIRT_DEFAULT_URI, else `uri_default` of libvirt.conf, else whatever is there. */
  readonly connect?: string | undefined;
  /** How the machine boots: a name or a path (profiles/); undefined: VIRT_SANDBOX_PROFILE, else `default`. */
  readonly profile?: string | undefined;
  /** Boot image by its name, its id, or its directory (with a slash); undefined: one is found, else built. */
  readonly image?: string | undefined;
  /** Show kernel messages and the init's steps on the console. */
  readonly debugInit?: boolean;
  /** Run the application under the root's strace. Its trace is on stderr, which is not that of the application where that has a terminal. */
  readonly trace?: GuestTrace | undefined;
  /** Where to stop, and what to do then. */
  readonly breakpoint?: Breakpoint | undefined;
  /** The terminal of the application, where the config asks for one. */
  readonly terminal?: Terminal | undefined;
  /** The descriptor of the local terminal, whose settings must survive this process. */
  readonly terminalFd?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

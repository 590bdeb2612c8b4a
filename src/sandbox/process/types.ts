/** Processes in a running sandbox, for programs. */
import type { TerminalSize } from '../../../init/common/config.js';
import type { Duration } from '../../config/parsers/duration.js';
import type { ExitStatus } from '../exit-status.js';

export interface SpawnOptions {
  /** Working directory inside; default: that of the application, else the user's home, else `/`. */
  readonly cwd?: string | undefined;
  /** Variables besides those of the application. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Name or number of a user inside, looked up in the sandbox's /etc/passwd; default: the user of the application. Only
   * root of a privileged sandbox has capabilities.
   */
  readonly user?: string | undefined;
  /** Size of its terminal, in characters, and TERM (default: xterm); undefined: pipes. */
  readonly tty?: (TerminalSize & { readonly type?: string | undefined }) | undefined;
  /**
   * After this time its process group is killed: milliseconds, 1 to 4294967295, or a text: `500ms`, `5s`, `2m`, `1h`;
   * undefined: never.
   */
  readonly timeout?: Duration | undefined;
  /** Kills its process group. */
  readonly signal?: AbortSignal | undefined;
  /** Most bytes of a line, for a loop over its lines; default: 64 MiB. */
  readonly maxBuffer?: number | undefined;
}

/** How a process ended. */
export interface ProcessExit extends ExitStatus {
  /** It was killed because its {@link SpawnOptions.timeout} was over. */
  readonly timedOut: boolean;
}

export interface RunOptions extends Omit<SpawnOptions, 'tty'> {
  /** What it reads from stdin; default: nothing. */
  readonly input?: string | Uint8Array | undefined;
  /** Most bytes of each of stdout and stderr; default: 64 MiB. With more the process group is killed. */
  readonly maxBuffer?: number | undefined;
  /** An exit code that is not 0, a signal and a timeout are errors: `run-failed`. */
  readonly reject?: boolean | undefined;
}

export interface RunResult extends ProcessExit {
  readonly stdout: string;
  readonly stderr: string;
  /** How long it took to start it. */
  readonly startMilliseconds: number;
  /** From then until it had ended and all its output was read. */
  readonly milliseconds: number;
}

/** Errors for users. Each says what happened, to which thing, and what to do about it. */

/** The part of a run that failed. It is the first word of the error line. */
export type Stage =
  | 'arguments'
  | 'config'
  | 'kernel'
  | 'modules'
  | 'image'
  | 'libvirt'
  | 'domain'
  | 'boot'
  | 'init'
  | 'application'
  | 'output'
  | 'service';

/** How much an error shows of what a guest says, in characters: a guest may say anything. */
export const SHOWN_CHARACTERS = 500;

/** Arguments of {@link SandboxError}. */
export interface SandboxErrorDetails {
  /** The part of the run that failed. */
  readonly stage: Stage;
  /** Stable, machine-readable name of the failure, in kebab-case: `kernel-not-found`. */
  readonly code: string;
  /** What happened, to which thing. A sentence without the final full stop. */
  readonly message: string;
  /** What the user should do. A sentence without the final full stop. */
  readonly remedy: string;
  /** Exit status of the command line tool; default: 125. An application that cannot be started has 126 or 127. */
  readonly exitCode?: number;
  /** The last lines of the guest's console, if there was a guest. */
  readonly consoleTail?: readonly string[];
  /**
   * The underlying error. If this process has too many files open, the remedy is about that, whatever `remedy` says.
   */
  readonly cause?: unknown;
}

/** A failure that this package reports on purpose. */
export class SandboxError extends Error {
  readonly stage: Stage;
  readonly code: string;
  readonly remedy: string;
  readonly exitCode: number;
  readonly consoleTail: readonly string[];

  constructor(details: SandboxErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'SandboxError';
    this.stage = details.stage;
    this.code = details.code;
    this.remedy = isOutOfFiles(details.cause) ? 'raise the limit of open files: ulimit -n 1024' : details.remedy;
    this.exitCode = details.exitCode ?? 125;
    this.consoleTail = details.consoleTail ?? [];
  }

  /** One line for the user: stage, message, remedy. It is escaped, since file names may hold any character. */
  get line(): string {
    return oneLine(`${this.stage}: ${this.message}; ${this.remedy}`);
  }

  /** A copy of the error with the last lines of the guest's console. */
  withConsole(consoleTail: readonly string[]): SandboxError {
    return new SandboxError({
      stage: this.stage,
      code: this.code,
      message: this.message,
      remedy: this.remedy,
      exitCode: this.exitCode,
      consoleTail,
      cause: this.cause,
    });
  }
}

/**
 * Escapes characters that begin a line, that a terminal acts on, or that nobody sees and that change how others look
 * (\p{Cf}: the direction of writing, no width), as `\n` or `\u{1b}`.
 */
export function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => SHORT[letter] ?? `\\u{${letter.codePointAt(0)?.toString(16)}}`,
  );
}

/** Whether {@link oneLine} has nothing to escape. */
export function isOneLine(text: string): boolean {
  return oneLine(text) === text;
}

/** Escapes as {@link oneLine} does, but keeps tabs and the ends of lines: LF, CR LF. */
export function escapeLines(text: string): string {
  return text.replace(/[^\n\t\r]+|\r(?!\n)/g, oneLine);
}

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * True for the error of a system call. A {@link SandboxError} is none, although it has a code too.
 *
 * @param code Which one: `ENOENT`, …; default: any.
 */
export function isSystemError(error: unknown, code?: string): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    !(error instanceof SandboxError) &&
    typeof (error as NodeJS.ErrnoException).code === 'string' &&
    (code === undefined || (error as NodeJS.ErrnoException).code === code)
  );
}

/** Names the path in an error of a call that knows its file by a descriptor alone, as write(2). @returns the error */
export function withPath(error: unknown, path: string): unknown {
  if (!isSystemError(error) || error.path !== undefined) return error;
  error.path = path;
  error.message += ` '${path}'`;
  return error;
}

/**
 * True if this process or the host has too many open files. Then nothing is wrong with the file that could not be
 * opened.
 */
export function isOutOfFiles(error: unknown): boolean {
  return isSystemError(error, 'EMFILE') || isSystemError(error, 'ENFILE');
}

/** The result of `read`, or `otherwise` if a system call in it failed. */
export function valueOr<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error)) return otherwise;
    throw error;
  }
}

/** The result of `read`, or undefined if it failed with a {@link SandboxError}. */
export async function ignoreSandboxError<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof SandboxError) return undefined;
    throw error;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

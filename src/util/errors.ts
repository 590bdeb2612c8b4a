/**
 * Errors are a designed part of the interface: each one says what happened, to which thing, and what to do about it.
 */

/** The part of a run that failed; it is the first word of the line a person reads. */
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
  | 'output';

/** What is needed to make a {@link SandboxError}. */
export interface SandboxErrorDetails {
  /** The part of the run that failed. */
  readonly stage: Stage;
  /** A stable, machine-readable name of the failure, in kebab-case: `kernel-not-found`. */
  readonly code: string;
  /** What happened, to which thing. One sentence without a final full stop. */
  readonly message: string;
  /** What the person should do. One sentence without a final full stop. */
  readonly remedy: string;
  /** The exit status that the command line tool ends with; 125 unless the application itself is what failed to start (126, 127). */
  readonly exitCode?: number;
  /** The last lines that the guest's console showed, where there was a guest. */
  readonly consoleTail?: readonly string[];
  /** The error underneath, where there is one. That this process has too many files open is remedied in one way only. */
  readonly cause?: unknown;
}

/** Every failure that this package reports on purpose. */
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

  /** The one line for a person: stage, what happened, what to do. What was given may hold anything. */
  get line(): string {
    return oneLine(`${this.stage}: ${this.message}; ${this.remedy}`);
  }

  /** The same error with the guest's last console lines added. */
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

/** A text with nothing in it that begins a line or that a terminal would act on: such characters as `\n` or `\u{1b}`. */
export function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (letter) => SHORT[letter] ?? `\\u{${letter.charCodeAt(0).toString(16)}}`,
  );
}

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * True for an error of a system call with this `code` (`ENOENT`, …), or with any code when none is named. What this package reports on
 * purpose is none, although it has a code.
 */
export function isSystemError(error: unknown, code?: string): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    !(error instanceof SandboxError) &&
    typeof (error as NodeJS.ErrnoException).code === 'string' &&
    (code === undefined || (error as NodeJS.ErrnoException).code === code)
  );
}

/** Then nothing is wrong with the file that could not be opened, whatever was to be done with it. */
export function isOutOfFiles(error: unknown): boolean {
  return isSystemError(error, 'EMFILE') || isSystemError(error, 'ENFILE');
}

/** What `read` returns; `otherwise` where a system call failed in it. */
export function valueOr<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error)) return otherwise;
    throw error;
  }
}

/** What `read` comes to; undefined where it failed on purpose. */
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

/** The life of each program: from its start to its exit status. */
import { constants } from 'node:os';
import { escapeLines, isOutOfFiles, messageOf, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { nameProgram } from './program-name.js';
import { exitWith } from './terminal/hang-up.js';
import { ReaderGone } from './terminal/output.js';

/** Exit status for a failure of the program itself. */
const OWN_FAILURE = 125;

/** Runs `main` and exits with the status that it returns. A failure is told in one line and decides the status. */
export function runProgram(name: string, main: () => Promise<number>): void {
  nameProgram(name);
  // A reader of stderr that goes away is no reason to end.
  process.stderr.on('error', () => {});
  void main()
    .catch((error: unknown) => tellFailure(name, error))
    // Exit explicitly: a library thread or an idle stdin must not delay it. All output has been written by now.
    .then((status) => {
      mark('cli.end');
      exitWith(status);
    });
}

/** What is said of an error, and the exit status of the program that ends with it. */
export interface Failure {
  /** Empty: nobody would read it. */
  readonly text: string;
  readonly status: number;
}

/** @param name of the program */
export function failureOf(name: string, error: unknown): Failure {
  // Die as from SIGPIPE: silently.
  if (error instanceof ReaderGone) return { text: '', status: 128 + constants.signals.SIGPIPE };
  const known = isOutOfFiles(error) ? outOfFiles(error) : error;
  if (known instanceof SandboxError) return { text: failureText(known, name), status: known.exitCode };
  // Its message may have what a guest or another user wrote. No line of that begins at the left.
  const what = escapeLines((error instanceof Error && error.stack) || String(error)).replaceAll('\n', '\n  ');
  return { text: `${name}: internal error, please report it: ${what}\n`, status: OWN_FAILURE };
}

/**
 * Tells a failure on stderr.
 * @returns the exit status that it asks for
 */
export function tellFailure(name: string, error: unknown): number {
  const { text, status } = failureOf(name, error);
  if (text !== '') process.stderr.write(text);
  return status;
}

/** EMFILE and ENFILE can come from any call, so only this place turns them into an error with a remedy. */
function outOfFiles(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'out-of-files',
    message: messageOf(cause),
    remedy: 'open fewer',
    cause,
  });
}

/** One line that says what failed and what to do, then the guest's last console lines. */
function failureText(error: SandboxError, program: string): string {
  const tail = error.consoleTail.map((line) => `  guest: ${line}\n`).join('');
  return `${program}: ${error.line}\n${tail}`;
}

/** What the programs have in common: from their start to their exit status. */
import { constants } from 'node:os';
import { isOutOfFiles, messageOf, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { ReaderGone } from './terminal/output.js';

/** Exit status for a failure of the program itself. */
const OWN_FAILURE = 125;

/** Ends this process with the status that `main` returns, or that of its failure, which is told in a line. */
export function runProgram(name: string, main: () => Promise<number>): void {
  // Whoever reads the messages may go away; that is no reason to end.
  process.stderr.on('error', () => {});
  void main()
    .catch((error: unknown) => tell(name, error))
    // Not by running out of things to do: a library thread or an idle stdin must not hold the exit up. What was printed has been waited for.
    .then((status) => {
      mark('cli.end');
      process.exit(status);
    });
}

/** @returns the exit status */
function tell(name: string, error: unknown): number {
  // As a program ends that does not ask, and without a word.
  if (error instanceof ReaderGone) return 128 + constants.signals.SIGPIPE;
  const known = isOutOfFiles(error) ? outOfFiles(error) : error;
  if (known instanceof SandboxError) {
    process.stderr.write(failureText(known, name));
    return known.exitCode;
  }
  const what = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${name}: internal error, please report it: ${what}\n`);
  return OWN_FAILURE;
}

/** It may come to that at any place. */
function outOfFiles(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'out-of-files',
    message: messageOf(cause),
    remedy: 'open fewer',
    cause,
  });
}

/** The lines for a failure: one that says what and what to do, and the guest's last words. */
function failureText(error: SandboxError, program: string): string {
  const tail = error.consoleTail.map((line) => `  guest: ${line}\n`).join('');
  return `${program}: ${error.line}\n${tail}`;
}

/**
 * A terminal that hangs up while this process has it: its window was closed, or its connection broke. Node.js restores
 * the settings of the terminals at 0 to 2 when it exits, and aborts where that fails (ResetStdio in its src/node.cc).
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { isatty } from 'node:tty';

/** The exit status of a program that SIGHUP ended, as shells have it. */
export const HUNG_UP = 128 + constants.signals.SIGHUP;

/** The standard descriptors that were terminals when this process started. */
const TERMINALS = [0, 1, 2].filter((fd) => isatty(fd));

/** Those that have hung up. No call works on them but close(2). */
function goneTerminals(): number[] {
  return TERMINALS.filter((fd) => !isatty(fd));
}

/** Whether a terminal of this process has hung up. */
export function hasHungUp(): boolean {
  return goneTerminals().length > 0;
}

/**
 * Ends this process. After a hang-up it is ended by SIGHUP, as a program is that knows nothing of it, unless `status`
 * says that it ended for another reason.
 */
export function exitWith(status: number): never {
  const gone = goneTerminals();
  // Node.js leaves alone what is closed.
  for (const fd of gone) closeSync(fd);
  if (gone.length > 0 && status === HUNG_UP) {
    process.removeAllListeners('SIGHUP');
    process.kill(process.pid, 'SIGHUP');
  }
  process.exit(status);
}

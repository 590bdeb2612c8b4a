/** Loading yargs. */
import { closeSync, constants, openSync } from 'node:fs';
import type yargs from 'yargs';
import { hasWorkingDirectory } from '../working-directory.js';

/** As yargs is called here: with nothing of a working directory. */
export type MakeParser = (argv: readonly string[]) => ReturnType<typeof yargs>;

/** yargs asks for the working directory when it is loaded, and where that is gone the programs are to work all the same. */
export async function loadYargs(): Promise<MakeParser> {
  const { default: yargs } = hasWorkingDirectory() ? await import('yargs') : await elsewhere(() => import('yargs'));
  return (argv) => yargs(argv, '/');
}

/** Runs `use` in /, and goes back to a directory that has no path any more. */
async function elsewhere<T>(use: () => Promise<T>): Promise<T> {
  const gone = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    process.chdir('/');
    return await use();
  } finally {
    process.chdir(`/proc/self/fd/${gone}`);
    closeSync(gone);
  }
}

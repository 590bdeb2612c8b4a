/** Loading yargs. */
import type yargs from 'yargs';

/** Yargs as it is called here: with nothing of a working directory. */
export type MakeParser = (argv: readonly string[]) => ReturnType<typeof yargs>;

/**
 * Loads yargs away from the working directory. It would read package.json there and in every directory above, which may be
 * somebody else's, and it would fail where the working directory is deleted.
 */
export async function loadYargs(): Promise<MakeParser> {
  const { cwd } = process;
  process.cwd = () => '/';
  try {
    const { default: yargs } = await import('yargs');
    return (argv) => yargs(argv, '/');
  } finally {
    process.cwd = cwd;
  }
}

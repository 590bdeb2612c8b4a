/** Loads yargs, which virt-sandbox-bake and virt-sandbox-bench read their commands with. */
import type yargs from 'yargs';

/** Makes a parser that does not look at the working directory. */
export type MakeParser = (argv: readonly string[]) => ReturnType<typeof yargs>;

/**
 * Loads yargs as if `/` were the working directory. Otherwise it would read package.json in the working directory and
 * in every directory above, which may belong to somebody else. It would also fail in a deleted directory.
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

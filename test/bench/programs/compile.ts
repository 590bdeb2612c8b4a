/** Compiles what measures inside: one static binary, so that every system runs the same. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '../../helpers/run.js';

/**
 * @param path of the program
 * @param sources names of files beside this one
 * @param words further arguments of the compiler
 * @throws {Error} it does not compile; why is on stderr
 */
export function compile(path: string, sources: readonly string[], ...words: readonly string[]): void {
  const paths = sources.map((name) => join(REPOSITORY, 'test/bench/programs', name));
  const all = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', ...words, '-o', path, ...paths];
  execFileSync('cc', all, { stdio: 'inherit' });
}

/** The program that measures inside: one static binary, so that every system runs the same. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY } from '../../helpers/run.js';

/** Compiles the program. */
export function buildDataWork(path: string): void {
  const source = join(REPOSITORY, 'test/bench/programs/data-work.c');
  const words = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-o', path, source];
  execFileSync('cc', words, { stdio: 'inherit' });
}

/** The help texts, as yargs laid them out when this program was built: laying one out takes a good part of starting this program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDirectory } from '../util/programs.js';

/** The help of a program of this package. */
export function readHelp(program: string): string {
  return readFileSync(join(packageDirectory(), 'dist', 'help', `${program}.txt`), 'utf8');
}

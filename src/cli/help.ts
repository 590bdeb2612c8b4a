/**
 * The help texts. The build lays them out with yargs: doing that at run time would take a good part of this program's
 * start.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDirectory } from '../util/programs.js';

/** @param program the name of a program of this package that has its text in dist/help */
export function readHelp(program: string): string {
  return readFileSync(join(packageDirectory(), 'dist', 'help', `${program}.txt`), 'utf8');
}

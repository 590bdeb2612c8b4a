/** The help text, as yargs laid it out when this program was built: laying it out takes a good part of starting this program. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors.js';
import { packageDirectory } from '../programs.js';

/** @returns undefined where it was not laid out yet, as while building */
export function readHelp(): string | undefined {
  try {
    return readFileSync(join(packageDirectory(), 'dist', 'help.txt'), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

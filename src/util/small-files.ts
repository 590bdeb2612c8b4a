/** Small files that may be missing, such as those in /proc and /sys. */
import { readFileSync } from 'node:fs';
import { valueOr } from './errors.js';

/** Content of a file; undefined if it does not exist or cannot be read. */
export function readIfThere(path: string): string | undefined {
  return valueOr(() => readFileSync(path, 'utf8'), undefined);
}

/** Files that say something in a line or two, and that need not be there: those of the kernel above all. */
import { readFileSync } from 'node:fs';
import { valueOr } from './errors.js';

/** @returns undefined where the file is not there or cannot be read */
export function readIfThere(path: string): string | undefined {
  return valueOr(() => readFileSync(path, 'utf8'), undefined);
}

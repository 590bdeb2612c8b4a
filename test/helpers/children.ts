/** Processes that a process has started. */
import { readFileSync } from 'node:fs';
import { valueOr } from '../../src/util/errors.js';

/** The children of a process's first thread, by the beginning of their names. */
export function childrenOf(pid: number, name: string): number[] {
  const children = valueOr(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), '');
  return children
    .split(' ')
    .map(Number)
    .filter((child) => child > 0 && valueOr(() => readFileSync(`/proc/${child}/comm`, 'utf8'), '').startsWith(name));
}

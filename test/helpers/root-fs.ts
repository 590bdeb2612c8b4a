/** A root over virtiofs, and what serves it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesWith } from './leftovers.js';

export const VIRTIOFS = ['--root-fs', 'virtiofs'];
/** What -v says where nobody chose. */
export const BY_DEFAULT = /^virt-sandbox: root: over virtiofs, because programs start and read faster than over 9p$/m;
/** Prints the type of the file system inside, and how it is mounted. */
export const TYPE = 'stat -f -c %T /usr; findmnt -n -o FSTYPE,OPTIONS / | cut -d, -f1';

/** What was started to serve the root of a sandbox, and its child, which serves it. */
export function rootServersOf(name: string): number[] {
  for (const line of processesWith(join(name, 'root-server')).filter((words) => words.includes('--shared-dir'))) {
    const pid = Number.parseInt(line, 10);
    // The child has the same words.
    const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    if (below !== '') return [pid, Number(below)];
  }
  return [];
}

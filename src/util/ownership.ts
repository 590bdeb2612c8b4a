/** Who could change what is at a path. */
import { lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { valueOr } from './errors.js';

/** Permission bits: others and the group may write; what is inside may be renamed by its owner only. */
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Who besides root could put something else in the place of `path`, as a part of a sentence: the owner of a directory
 * above it, or all who may write there. Undefined: nobody.
 */
export function othersWhoMayReplace(path: string): string | undefined {
  /** Whether what is looked at has an entry on the way to `path`, which nobody but its owner may rename. */
  let hasEntry = false;
  for (let at: string | undefined = path; at !== undefined; at = parentOf(at)) {
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found === undefined) continue;
    const isHeld = hasEntry && (found.mode & STICKY) !== 0;
    hasEntry = true;
    if (found.uid !== 0) return `${at} belongs to user ${found.uid}`;
    if (found.isSymbolicLink()) {
      const target: string | undefined = valueOr(() => realpathSync(at as string), undefined);
      const other = target === undefined ? undefined : othersWhoMayReplace(target);
      if (other !== undefined) return other;
      continue;
    }
    if (isHeld) continue;
    if ((found.mode & OTHERS_WRITE) !== 0) return `everybody may write to ${at}`;
    if ((found.mode & GROUP_WRITES) !== 0 && found.gid !== 0) return `group ${found.gid} may write to ${at}`;
  }
  return undefined;
}

function parentOf(path: string): string | undefined {
  const above = dirname(path);
  return above === path ? undefined : above;
}

/** Who could change what is at a path. */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Permission bits: others and the group may write; what is inside may be renamed by its owner only. */
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/** Limit of symbolic links on a path, as the kernel has it. */
const MOST_LINKS = 40;

/**
 * Who besides root and this user could put something else in the place of `path`, as a part of a sentence: the owner of
 * a directory or link on the way, or all who may write there. Undefined: nobody. The last parts of the path need not
 * exist.
 * @param part `entry`: only who could move the last part away, which the caller makes and checks if it is not there
 */
export function othersWhoMayReplace(path: string, part: 'content' | 'entry' = 'content'): string | undefined {
  const left = partsOf(path);
  let at = '/';
  let directory = lstatSync(at);
  for (let links = 0; ; ) {
    const name = left.shift();
    if (name === undefined) return part === 'entry' ? undefined : writersOf(at, directory, false);
    if (name === '..') {
      at = dirname(at);
      directory = lstatSync(at);
      continue;
    }
    const next = join(at, name);
    const found = lstatSync(next, { throwIfNoEntry: false });
    const isLeftToCaller = part === 'entry' && left.length === 0;
    const writers = writersOf(at, directory, found !== undefined || isLeftToCaller);
    if (writers !== undefined || found === undefined) return writers;
    if (!isTrustedUser(found.uid)) return `${next} belongs to user ${found.uid}`;
    if (!found.isSymbolicLink()) {
      at = next;
      directory = found;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) return `${path} leads through too many symbolic links`;
    const target = readlinkSync(next);
    left.unshift(...partsOf(target));
    if (target.startsWith('/')) at = '/';
    directory = lstatSync(at);
  }
}

/**
 * Whether files of this user are as good as our own: root's, and this user's. Who owns the root directory can change
 * everything anyway; that is root too, under another number where a user namespace has no root.
 */
export function isTrustedUser(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.() || uid === lstatSync('/').uid;
}

/** Whether nobody else may write to a file or a directory. The group's bits are also the most that an ACL allows. */
export function isHeldByTrusted({ uid, mode }: { uid: number | bigint; mode: number | bigint }): boolean {
  return isTrustedUser(Number(uid)) && (Number(mode) & (GROUP_WRITES | OTHERS_WRITE)) === 0;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

/**
 * Who else may put something into a directory in place of what is there.
 * @param hasEntry something is there, which in a sticky directory nobody but its owner may rename
 */
function writersOf(path: string, { mode, gid }: Stats, hasEntry: boolean): string | undefined {
  if (hasEntry && (mode & STICKY) !== 0) return undefined;
  if ((mode & OTHERS_WRITE) !== 0) return `everybody may write to ${path}`;
  if ((mode & GROUP_WRITES) === 0) return undefined;
  if (gid !== 0 && (gid !== process.getegid?.() || process.geteuid?.() === 0))
    return `group ${gid} may write to ${path}`;
  return hasAccessList(path) ? `an access control list may let others write to ${path}` : undefined;
}

/**
 * Whether a path has a POSIX access control list. Call it where the group may write: with a list those bits are the
 * most that anybody in it may do, so without them nobody named there may write. acl(5)
 */
function hasAccessList(path: string): boolean {
  // Few hosts have such a directory, so the library is loaded here.
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const getxattr = koffi
    .load('libc.so.6')
    .func('int64_t getxattr(const char *path, const char *name, void *value, size_t size)');
  return (getxattr(path, 'system.posix_acl_access', null, 0) as number) > 0;
}

/** What the errors of system calls mean for who asked for it: the one table, for files and for copies of trees. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export interface Meaning {
  readonly code: string;
  readonly remedy: string;
  /** What is said of a copy instead. */
  readonly copy?: { readonly code?: string; readonly remedy?: string; readonly reason?: string };
}

const DENIED: Meaning = {
  code: 'permission-denied',
  remedy: 'see that the user inside may do that there, or name another one with the option user',
  copy: { remedy: 'copy as a user who may do that (in the sandbox: the option user), or change its mode' },
};
const FULL: Meaning = {
  code: 'no-space',
  remedy: 'make room there, or give the sandbox a larger mount',
  copy: { remedy: 'make room there, or copy to a file system that has more' },
};
const REMOVE_FIRST = 'first, or choose another name for the copy';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: {
    code: 'file-not-found',
    remedy: 'see that the path exists inside, and where its links lead',
    copy: {
      remedy: 'check the path; the directory in which a copy is made has to be there',
      reason: 'there is no such file',
    },
  },
  EEXIST: {
    code: 'file-exists',
    remedy: 'name another path, or remove it first',
    copy: { remedy: `remove that directory ${REMOVE_FIRST}` },
  },
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: {
    code: 'permission-denied',
    remedy: 'it is read-only, as the root is: use /tmp, or give the sandbox a mount',
    copy: { ...DENIED.copy, reason: 'it is read-only, as the root of a sandbox is' },
  },
  ENOTDIR: {
    code: 'not-a-directory',
    remedy: 'see which part of the path is a file',
    copy: {
      remedy: `remove that file or link ${REMOVE_FIRST}`,
      reason: 'it is no directory, and a directory is copied there, or the path leads through it',
    },
  },
  EISDIR: {
    code: 'is-a-directory',
    remedy: 'name a file',
    copy: {
      code: 'file-exists',
      remedy: `remove that directory ${REMOVE_FIRST}`,
      reason: 'it is a directory, and what is copied there is none',
    },
  },
  ENOTEMPTY: { code: 'directory-not-empty', remedy: 'remove it with recursive: true' },
  ENOSPC: { ...FULL, copy: { ...FULL.copy, reason: 'no space is left' } },
  EDQUOT: FULL,
  EFBIG: { code: 'file-too-large', remedy: 'write less: the file system there takes no larger file' },
  EMFILE: {
    code: 'too-many-watches',
    remedy: 'watch a smaller tree: the limits inside are fs.inotify.max_user_watches and max_user_instances',
  },
  ESTALE: {
    code: 'file-failed',
    remedy: 'see who else works on these files, and try again',
    copy: { reason: 'it was moved or replaced while it was copied' },
  },
  EBUSY: { code: 'file-failed', remedy: 'name what is in it: it is a mount, or in use' },
  EXDEV: { code: 'file-failed', remedy: 'read it, write it there and remove it: these are two file systems' },
};

const OTHER: Meaning = { code: 'file-failed', remedy: 'see what the system says' };

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);

/** @returns `ENOENT`; empty for a number that no error of this system has */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? '';
}

/** @param name as of {@link errnoName} */
export function meaningOf(name: string): Meaning {
  return MEANINGS[name] ?? OTHER;
}

/** As the system says it. */
export function errnoText(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
}

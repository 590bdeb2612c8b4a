/** The host's mounts below a directory. proc_pid_mountinfo(5) */
import { readFileSync, statSync } from 'node:fs';
import { valueOr } from '../../util/errors.js';

/** A mount point below a directory. */
export interface MountPoint {
  /** Relative to the directory. */
  readonly path: string;
  /** A file system that shows the kernel and not files of users. */
  readonly isKernels: boolean;
  /** A file system that is mounted when somebody looks. */
  readonly isAutomount: boolean;
}

/**
 * File systems with files of users among those that need no block device. All others of these are the kernel's, also
 * ones that do not exist yet.
 */
const OF_USERS = new Set(
  (
    '9p afs aufs autofs bcachefs ceph cifs ecryptfs fuse gfs2 jffs2 lustre nfs nfs4 ocfs2 orangefs overlay shiftfs ' +
    'smb3 tmpfs ubifs vboxsf virtiofs zfs'
  ).split(' '),
);

/**
 * Mount points below `directory`, each once, parents first. Of several on one point the last counts.
 * @param directory without symbolic links
 * @param table the text of /proc/PID/mountinfo; default: this process's
 * @param types the text of /proc/filesystems
 */
export function mountPointsBelow(
  directory: string,
  table = readFileSync('/proc/self/mountinfo', 'utf8'),
  types = valueOr(() => readFileSync('/proc/filesystems', 'utf8'), ''),
): MountPoint[] {
  const prefix = directory === '/' ? '/' : `${directory}/`;
  const withoutDevice = new Set(types.split('\n').flatMap((line) => /^nodev\t(.+)$/.exec(line)?.[1] ?? []));
  const found = new Map<string, MountPoint>();
  for (const { point, type } of table.trimEnd().split('\n').map(parse)) {
    if (!point.startsWith(prefix) || point === '/') continue;
    const path = point.slice(prefix.length);
    // fuse.sshfs is one of fuse.
    const [family = ''] = type.split('.');
    const isKernels = withoutDevice.has(type) && !OF_USERS.has(family);
    found.set(path, { path, isKernels, isAutomount: type === 'autofs' });
  }
  return [...found.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

/**
 * The directories below `directory` on which file systems of users are mounted, relative to it, parents first.
 * libvirt's binds do not include them, so each needs a bind of its own. libvirt binds directories only.
 */
export function mountsBelow(directory: string, ...texts: string[]): string[] {
  const prefix = directory === '/' ? '/' : `${directory}/`;
  return mountPointsBelow(directory, ...texts)
    .filter(({ path, isKernels, isAutomount }) => !isKernels && !isAutomount && isDirectory(prefix + path))
    .map(({ path }) => path);
}

function parse(line: string): { point: string; type: string } {
  const [before = '', after = ''] = line.split(' - ');
  // The kernel escapes blanks and backslashes as three octal digits.
  const point = (before.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return { point, type: after.split(' ')[0] ?? '' };
}

/** False also for a path that another mount hides or that this user may not read. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

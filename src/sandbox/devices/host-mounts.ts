/** The host's mounts below a directory. proc_pid_mountinfo(5) */
import { readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { covers } from '../../config/path.js';
import { valueOr } from '../../util/errors.js';
import { isOfBound } from './overlay-bound.js';

/** A mount point below a directory. */
export interface MountPoint {
  /** Relative to the directory. */
  readonly path: string;
  /** A file system that shows the kernel and not files of users, or keeps the overlay of a service. */
  readonly isKernels: boolean;
  /** A file system that is mounted when somebody looks. */
  readonly isAutomount: boolean;
  /** The user whose process answers for it; none: it is not one of fuse. */
  readonly fuseUser?: number;
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

/** File systems on block devices, if the kernel's list of them cannot be read. */
const ON_DEVICES = 'btrfs erofs exfat ext2 ext3 ext4 f2fs fuseblk iso9660 ntfs3 squashfs udf vfat xfs'.split(' ');

/** Number of the kernel's driver, in front of that of a loop device. */
const LOOP = '7:';

/** Shows the kernel, for containers, though it is one of fuse. */
const LXCFS = 'fuse.lxcfs';

/** What is for a moment only, or the kernel's, and must not be seen through another mount of it either. */
const HOSTS_OWN = ['/dev', '/run', '/tmp'];

/**
 * Mount points below `directory`, each once, parents first. Of several on one point all count.
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
  const onDevices = new Set([...ON_DEVICES, ...types.split('\n').flatMap((line) => /^\t(.+)$/.exec(line)?.[1] ?? [])]);
  const mounts = mountsIn(table);
  // The first mount of a file system tells where it belongs. Others of it are bound from there.
  const firsts = new Map([...mounts].reverse().map((mount) => [mount.device, mount]));
  const isIn = (point: string) => HOSTS_OWN.some((path) => covers(path, point));
  const isFromThere = (device: string) => {
    const first = firsts.get(device);
    return first?.type === 'tmpfs' && isIn(first.point);
  };
  const found = new Map<string, MountPoint>();
  for (const { point, type, device, options } of mounts) {
    if (!point.startsWith(prefix) || point === '/') continue;
    const path = point.slice(prefix.length);
    // fuse.sshfs is one of fuse.
    const [family = ''] = type.split('.');
    const isOfUsers = onDevices.has(type) || (OF_USERS.has(family) && type !== LXCFS);
    const isOwn = type === 'ext4' && device.startsWith(LOOP) && isOfBound(point);
    const isKernels =
      !isOfUsers || isOwn || (isFromThere(device) && !isIn(point)) || found.get(path)?.isKernels === true;
    const [, user] = family === 'fuse' ? (/(?:^|,)user_id=(\d+)/.exec(options) ?? []) : [];
    const ofUser = user === undefined ? {} : { fuseUser: Number(user) };
    found.set(path, { path, isKernels, isAutomount: type === 'autofs', ...ofUser });
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

/**
 * Where else the host shows a directory: other mounts of its file system that have it, as bind mounts and subvolumes.
 * @param path without symbolic links
 * @param table the text of /proc/PID/mountinfo; default: this process's
 */
export function otherPathsOf(path: string, table = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  const origin = originOf(path, table);
  return origin === undefined ? [] : placesOf(origin, table).filter((place) => place !== path);
}

/** Where a directory is in its file system. The paths at which that is mounted have no part in it. */
export interface Origin {
  /** Of the file system, as mountinfo has it. */
  readonly device: string;
  readonly path: string;
}

/**
 * @param path without symbolic links
 * @param table as {@link otherPathsOf} has it
 * @returns undefined: no mount has it
 */
export function originOf(path: string, table = readFileSync('/proc/self/mountinfo', 'utf8')): Origin | undefined {
  // Of several mounts on one point the last is seen.
  const own = mountsIn(table).reduce<Mounted | undefined>(
    (best, mount) => (covers(mount.point, path) && mount.point.length >= (best?.point.length ?? 0) ? mount : best),
    undefined,
  );
  return own && { device: own.device, path: join(own.root, relative(own.point, path)) };
}

/** The paths at which the mounts of `table` show a directory. */
export function placesOf(origin: Origin, table: string): string[] {
  const places = mountsIn(table)
    .filter(({ device, root }) => device === origin.device && covers(root, origin.path))
    .map(({ point, root }) => join(point, relative(root, origin.path)));
  return [...new Set(places)];
}

function mountsIn(table: string): Mounted[] {
  return table.trimEnd().split('\n').map(parse);
}

/** What is seen at a mount point; undefined: nothing is mounted there. */
export function mountAt(point: string, table = readFileSync('/proc/self/mountinfo', 'utf8')): Mounted | undefined {
  return mountsIn(table).findLast((mount) => mount.point === point);
}

export interface Mounted {
  readonly point: string;
  /** The directory of the file system that is mounted there. */
  readonly root: string;
  readonly type: string;
  readonly device: string;
  /** Of this mount. */
  readonly flags: readonly string[];
  /** Of the file system. */
  readonly options: string;
}

function parse(line: string): Mounted {
  const [before = '', after = ''] = line.split(' - ');
  const [, , device = '', root = '', point = '', flags = ''] = before.split(' ');
  const [type = '', , options = ''] = after.split(' ');
  return { point: unescaped(point), root: unescaped(root), type, device, flags: flags.split(','), options };
}

/** The kernel escapes blanks and backslashes as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** False also for a path that another mount hides or that this user may not read. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

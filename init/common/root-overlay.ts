/**
 * Lays memory, or a directory that is kept, over the root of a container. A program of the package does it, which the
 * init runs before the plan: each mount below the root needs an overlay of its own, and its layers are looked through
 * with the rights of the user inside (init/root-overlay/main.c).
 */
import { constants } from 'node:os';
import { dirname } from 'node:path/posix';
import { type Guest, type IdRange, type Operation, OperationError } from '../../src/protocol/operations.js';
import type { GuestConfig, GuestHidden } from './config.js';
import { STAGE as BINDS } from './container.js';
import { type Devices, deviceOf } from './disks.js';
import { MNT_DETACH, MS_NODEV, MS_NOSUID, MS_RDONLY, mountOf, NEW_ROOT } from './step.js';

/** The step of a start in which it happens. */
export const OVERLAY_STEP = 'overlay';

/**
 * Root inside reads the host's files as somebody to whom none belongs. Host ids in an idmapped mount are those of the
 * container's range, so not even a file of the host's user `nobody` belongs to this one.
 */
const NOBODY = 65_534;

/**
 * Locks of dpkg, APT and what changes the users, which only root may read. They are empty, so root inside may have them
 * as its own.
 */
const LOCKS = [
  '/etc/.pwd.lock',
  '/var/cache/apt/archives/lock',
  '/var/cache/debconf/passwords.dat',
  '/var/lib/apt/lists/lock',
  '/var/lib/dpkg/lock',
  '/var/lib/dpkg/lock-frontend',
  '/var/lib/dpkg/triggers/Lock',
];

/** How errors begin of the user namespace with the owners of files: init/root-overlay/stage.c */
const OF_IDS = 'cannot make the ids of ';
/** The same, where another container has the directory. */
const OF_LOCK = 'cannot lock ';

/** The types of files in a mode: inode(7) */
const S_IFMT = 0o170_000;
const S_IFDIR = 0o040_000;
const S_IFLNK = 0o120_000;

/** Where the layers are while the overlays are made, and how large a file counts: init/root-overlay/stage.c */
const STAGE = '/dev/.overlay';
const BYTES_PER_INODE = 4096;

/** In milliseconds. A busy host takes its time with a mount. */
const TIMEOUT = 60_000;
/** How long the program waits for a container that ends, in seconds. Less than that, and than a start may take. */
const LOCK_SECONDS = 45;

/** The overlay cannot be made. */
export class RootOverlayError extends Error {
  /**
   * @param errno 0: it ended otherwise
   * @param isOfIds it is the user namespace with the owners of files that cannot be made
   * @param isInUse another container has the directory that keeps it
   */
  constructor(
    reason: string,
    readonly errno: number,
    readonly isOfIds = false,
    readonly isInUse = false,
  ) {
    super(reason);
    this.name = 'RootOverlayError';
  }
}

/**
 * Mounts the file system of an OCI image, if it is the root, where libvirt has bound any other.
 * @param at more places to mount it at, which are made
 * @throws {OperationError} if it cannot be mounted
 */
export async function mountImageRoot(guest: Guest, { root }: GuestConfig, devices: Devices, at: readonly string[]) {
  if (root.type !== 'image') return;
  const device = deviceOf(devices, root.serial);
  const mounts = [NEW_ROOT, ...at].flatMap((path) => [
    guest.call({ op: 'mkdir', path, mode: 0o700 }),
    guest.call(mountOf(device, path, root.filesystem, MS_RDONLY | MS_NODEV, root.options)),
  ]);
  const bound = dirname(device);
  // A file of a bind, and no disk.
  const unbinds = bound.startsWith(`${BINDS}/`) ? [guest.call({ op: 'unmount', path: bound, flags: MNT_DETACH })] : [];
  await Promise.all([...mounts, ...unbinds]);
}

/**
 * Makes the overlays.
 * @returns a sentence for each mount that stays read-only: `/boot/efi stays read-only: Invalid argument`
 * @throws {RootOverlayError}
 * @throws {OperationError} if the program cannot be run
 */
export async function layOverRoot(guest: Guest, config: GuestConfig): Promise<string[]> {
  const argv = overlayArguments(config);
  if (argv === undefined) return [];
  const staged = stageCalls(config.rootOverlay?.bytes ?? 0).map((operation) => stage(guest, operation));
  const running = guest.call({ op: 'run', argv, environment: [], stdin: new Uint8Array(), timeout: TIMEOUT });
  // If one of these fails, the program is skipped.
  running.catch(() => {});
  await Promise.all(staged);
  const { value } = await running;
  const said = new TextDecoder().decode(value.output).trim();
  if (value.status !== 0) {
    const [, errno = '0', reason] = /^root-overlay: (\d+) (.*)/m.exec(said) ?? [];
    const otherwise = `root-overlay failed, with the wait status ${value.status}: ${said}`;
    const isInUse = reason?.startsWith(OF_LOCK) === true && Number(errno) === constants.errno.EBUSY;
    throw new RootOverlayError(reason ?? otherwise, Number(errno), reason?.startsWith(OF_IDS), isInUse);
  }
  if (!(await isReached(guest, '/dev'))) {
    throw new RootOverlayError('the user inside may not enter it', constants.errno.EACCES);
  }
  return said.split('\n').flatMap((line) => {
    const [, mount, reason] = /^read-only (.*): (.*)/.exec(line) ?? [];
    return mount === undefined ? [] : [`${mount} stays read-only: ${reason}`];
  });
}

async function stage(guest: Guest, operation: Operation): Promise<void> {
  try {
    await guest.call(operation);
  } catch (error) {
    if (!(error instanceof OperationError) || error.skipped) throw error;
    throw new RootOverlayError(error.message, error.errno, false);
  }
}

/** Memory for the upper layers, which the init holds open for virt-sandbox-ctl diff when no path leads there. */
function stageCalls(bytes: number): Operation[] {
  const options = `mode=755,uid=0,gid=0,size=${bytes},nr_inodes=${Math.floor(bytes / BYTES_PER_INODE)}`;
  return [
    { op: 'mkdir', path: STAGE, mode: 0o755 },
    mountOf('tmpfs', STAGE, 'tmpfs', MS_NOSUID | MS_NODEV, options),
    { op: 'keep', path: STAGE },
  ];
}

/**
 * What to cover of `hidden`. In the overlay not even the init enters a directory that the user inside may not enter, so
 * it cannot cover what is in there. Then the directory is covered: the host may open it later.
 *
 * In an overlay that is kept an earlier run may have put a link or a file in the place of a directory, or nothing. Behind
 * that the root's files are not seen, so there is nothing to cover.
 */
export async function coverable(guest: Guest, hidden: readonly GuestHidden[], isKept: boolean): Promise<GuestHidden[]> {
  const covered = await Promise.all(
    hidden.map(async (each) => {
      const found = await nearest(guest, each);
      return isKept ? asItIs(guest, found) : found;
    }),
  );
  return [...new Map(covered.flatMap((each) => (each ? [[each.path, each] as const] : []))).values()];
}

async function nearest(guest: Guest, hidden: GuestHidden): Promise<GuestHidden> {
  if (hidden.path === '/' || (await isReached(guest, hidden.path))) return hidden;
  return nearest(guest, { path: dirname(hidden.path), isDirectory: true });
}

/** What is there by that path without a link in it; undefined: nothing, or a link. */
async function asItIs(guest: Guest, { path }: GuestHidden): Promise<GuestHidden | undefined> {
  if (path === '/') return { path, isDirectory: true };
  const above = await asItIs(guest, { path: dirname(path), isDirectory: true });
  if (above?.isDirectory !== true) return undefined;
  const type = await typeOf(guest, path);
  return type === undefined || type === S_IFLNK ? undefined : { path, isDirectory: type === S_IFDIR };
}

/** Undefined: nothing is there. */
async function typeOf(guest: Guest, path: string): Promise<number | undefined> {
  try {
    const { value } = await guest.call({ op: 'stat', path: `${NEW_ROOT}${path}`, follow: false }, { tolerate: true });
    return value.mode & S_IFMT;
  } catch (error) {
    if (error instanceof OperationError && error.errno === constants.errno.ENOENT) return undefined;
    throw error;
  }
}

/** Also what is gone meanwhile, of which the plan says so. */
async function isReached(guest: Guest, path: string): Promise<boolean> {
  try {
    await guest.call({ op: 'stat', path: `${NEW_ROOT}${path}`, follow: false }, { tolerate: true });
    return true;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return error.errno !== constants.errno.EACCES;
  }
}

/** The command line; undefined for a sandbox without such an overlay. */
export function overlayArguments(config: GuestConfig): string[] | undefined {
  if (config.rootOverlay === undefined) return undefined;
  const { program, bytes, kept } = config.rootOverlay;
  const where = kept === undefined ? [] : ['--kept', kept, '--wait', String(LOCK_SECONDS)];
  const words = config.ociRoot ? ['--image', ...idWords(config)] : readerWords(config);
  return [program, ...words, ...where, NEW_ROOT, String(bytes)];
}

/** With whose rights the host's files are read. */
export interface OverlayReader {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/**
 * Without a user namespace, root inside is root outside, and reads everything as it is.
 * @returns undefined: it is root
 */
export function overlayReader({ idMap, identity }: Pick<GuestConfig, 'idMap' | 'identity'>): OverlayReader | undefined {
  if (idMap === undefined) return undefined;
  const { uid, gid, groups } = identity;
  if (uid === 0) return { uid: NOBODY, gid: NOBODY, groups: [] };
  // This user owns the same files inside and outside, and has those groups that it has inside.
  const own = (group: number) => idMap.gids.some((range) => isSame(range, group));
  return { uid, gid: own(gid) ? gid : NOBODY, groups: groups.filter(own) };
}

function readerWords({ idMap, identity }: GuestConfig): string[] {
  const reader = overlayReader({ idMap, identity });
  if (idMap === undefined || reader === undefined) return [];
  const groups = reader.groups.flatMap((each) => ['--group', String(each)]);
  const words = ['--reader', String(reader.uid), String(reader.gid), ...groups];
  if (identity.uid !== 0) return words;
  return [...words, ...idWords({ idMap }), ...LOCKS.flatMap((path) => ['--empty', path])];
}

function idWords({ idMap }: Pick<GuestConfig, 'idMap'>): string[] {
  if (idMap === undefined) return [];
  return (['uid', 'gid'] as const).flatMap((kind) =>
    idMap[`${kind}s`].flatMap((range) => [`--${kind}`, ...[range.inside, range.outside, range.count].map(String)]),
  );
}

/** The id is in the range, and the same inside and outside. */
function isSame({ inside, outside, count }: IdRange, id: number): boolean {
  return inside === outside && id >= inside && id - inside < count;
}

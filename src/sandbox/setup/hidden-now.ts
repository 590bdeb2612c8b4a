/** What a container hides, by what it has got. Loaded only for a container whose root is a directory. */
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { GuestConfig, GuestHidden } from '../../../init/common/config.js';
import { StepError } from '../../../init/common/drive.js';
import { HIDE_STEP } from '../../../init/common/mounts.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { type Hiding, hiddenOnHost, outermost, placesInContainer } from '../devices/hidden-paths.js';
import type { Console } from '../start/console.js';
import type { Observers } from '../types.js';
import { stepError } from './step-errors.js';

/** What the init reads of a file at most, in bytes: several hundred mounts. */
const MOST_TABLE = 131_072;

const S_IFMT = 0o170_000;
const S_IFDIR = 0o040_000;
const S_IFLNK = 0o120_000;

/** What the paths are of. */
interface Sought {
  readonly config: SandboxConfig;
  readonly guest: GuestConfig;
  readonly console: Console;
  readonly options: Pick<Observers, 'onChoice'>;
}

/**
 * What to cover. libvirt has bound what was at each path when it came to that, which need not be what was there when the
 * mounts were listed: a home may be seen in a further place, and what was in a mount may be gone. Now no mount comes or
 * goes any more, but for one whose directory the host removes.
 * @param guest whose init has not made the root yet
 * @throws {SandboxError} `init-step-failed`
 */
export async function hiddenNow(guest: Guest, sought: Sought, hiding: Hiding): Promise<GuestHidden[]> {
  try {
    const listed = await Promise.all(hiding.paths.map((path) => listedAt(guest, sought, path)));
    const places = await placesOfHomes(guest, sought, hiding);
    const further = await Promise.all(places.map((path) => directoryAt(guest, path)));
    const there = new Map([...further, ...listed].flatMap((each) => (each ? [[each.path, each] as const] : [])));
    return outermost([...there.keys()]).flatMap((path) => there.get(path) ?? []);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw stepError(new StepError(HIDE_STEP, error), sought.console, sought.guest);
  }
}

async function placesOfHomes(guest: Guest, { config, options }: Sought, { homes }: Hiding): Promise<string[]> {
  if (homes.length === 0) return [];
  try {
    const call = { op: 'readFile', path: '/proc/self/mountinfo', limit: MOST_TABLE } as const;
    const { value } = await guest.call(call, { tolerate: true });
    return placesInContainer(config, homes, new TextDecoder().decode(value), NEW_ROOT);
  } catch (error) {
    if (!(error instanceof OperationError) || error.errno !== constants.errno.EFBIG) throw error;
    options.onChoice?.('home: hidden where the host showed it, because the container has too many mounts to look at');
    return [];
  }
}

/** A place of a home; undefined: a further mount covers it. */
async function directoryAt(guest: Guest, path: string): Promise<GuestHidden | undefined> {
  return (await typeOf(guest, path)) === S_IFDIR ? { path, isDirectory: true } : undefined;
}

/** What is there of what is to be hidden; undefined: nothing. Whether it can be covered is said by the step for that. */
async function listedAt(guest: Guest, { config }: Sought, path: string): Promise<GuestHidden | undefined> {
  const type = await typeOf(guest, path);
  if (typeof type === 'number' && type !== S_IFLNK) return { path, isDirectory: type === S_IFDIR };
  // What the init cannot follow, or may not look at, is what the host says, which may be nothing.
  const onHost = hiddenOnHost(config, path);
  if (type !== 'missing' || onHost === undefined) return onHost;
  // By a link on the way it may be found in the root, once that is the root.
  return (await isBehindLink(guest, dirname(path))) ? onHost : undefined;
}

async function isBehindLink(guest: Guest, path: string): Promise<boolean> {
  if (path === '/') return false;
  const type = await typeOf(guest, path);
  return type === 'missing' ? isBehindLink(guest, dirname(path)) : type === S_IFLNK;
}

async function typeOf(guest: Guest, path: string): Promise<number | 'missing' | 'unknown'> {
  try {
    const { value } = await guest.call({ op: 'stat', path: `${NEW_ROOT}${path}`, follow: false }, { tolerate: true });
    return value.mode & S_IFMT;
  } catch (error) {
    if (!(error instanceof OperationError) || error.skipped) throw error;
    return error.errno === constants.errno.ENOENT || error.errno === constants.errno.ENOTDIR ? 'missing' : 'unknown';
  }
}

/** What a container hides, by the mounts that it has got. Loaded only for one that hides something. */
import { constants } from 'node:os';
import type { GuestHidden } from '../../../init/common/config.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { outermost, placesInContainer } from '../devices/hidden-paths.js';
import type { Origin } from '../devices/host-mounts.js';
import type { Observers } from '../types.js';

/** What the init reads of a file at most, in bytes: several hundred mounts. */
const MOST_TABLE = 131_072;

const S_IFMT = 0o170_000;
const S_IFDIR = 0o040_000;

/** What the paths are of. */
interface Sought {
  readonly config: SandboxConfig;
  /** The homes that are hidden, where any mount of the container shows them. */
  readonly homes?: readonly Origin[];
  readonly options: Pick<Observers, 'onChoice'>;
}

/**
 * What to cover. libvirt has bound what was at each path when it came to that, which need not be what was there when the
 * paths were listed: a home may be seen in a further place, and what was in a mount may be gone. From now on no mount
 * comes or goes.
 * @param guest whose init has not made the root yet
 * @param listed what the host had when its mounts were listed
 */
export async function hiddenNow(guest: Guest, sought: Sought, listed: readonly GuestHidden[]): Promise<GuestHidden[]> {
  const further = (await placesOfHomes(guest, sought)).map((path): GuestHidden => ({ path, isDirectory: true }));
  const all = new Map([...further, ...listed].map((each) => [each.path, each]));
  const found = await Promise.all(
    [...all.values()].map(async (each) => ({ ...each, isThere: await isThere(guest, each) })),
  );
  const there = found.flatMap(({ isThere, ...each }) => (isThere ? [each] : []));
  const paths = outermost(there.map(({ path }) => path));
  return there.filter(({ path }) => paths.includes(path));
}

async function placesOfHomes(guest: Guest, { config, homes = [], options }: Sought): Promise<string[]> {
  if (homes.length === 0) return [];
  try {
    const table = await guest.call(
      { op: 'readFile', path: '/proc/self/mountinfo', limit: MOST_TABLE },
      { tolerate: true },
    );
    return placesInContainer(config, homes, new TextDecoder().decode(table.value), NEW_ROOT);
  } catch (error) {
    // Some hundred mounts are too many. Those of the host were looked at.
    if (!(error instanceof OperationError)) throw error;
    options.onChoice?.(`home: hidden where the host showed it, because ${error.message}`);
    return [];
  }
}

/** False also for what a further mount covers. What cannot be looked at is left to the step that covers it. */
async function isThere(guest: Guest, { path, isDirectory }: GuestHidden): Promise<boolean> {
  try {
    const { value } = await guest.call({ op: 'stat', path: `${NEW_ROOT}${path}`, follow: false }, { tolerate: true });
    return !isDirectory || (value.mode & S_IFMT) === S_IFDIR;
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    return error.errno !== constants.errno.ENOENT && error.errno !== constants.errno.ENOTDIR;
  }
}

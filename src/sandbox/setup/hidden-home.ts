/** What a container must not see of its caller's home. Loaded only for one with a home of its own. */
import { constants } from 'node:os';
import type { GuestHidden } from '../../../init/common/config.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { coveredPaths, homesIn } from '../devices/hidden-paths.js';

/** What the init reads of a file at most, in bytes: some thousand mounts. */
const MOST_TABLE = 131_072;

const S_IFMT = 0o170_000;
const S_IFDIR = 0o040_000;

/**
 * What to cover, the caller's home wherever a mount of the container shows it. libvirt has bound what was at each path
 * when it came to that, which need not be what was there when the paths were listed. No mount comes or goes any more.
 * @param guest whose init has not made the root yet
 * @throws {SandboxError} `home-not-hidden`
 */
export async function hiddenNow(guest: Guest, config: SandboxConfig): Promise<GuestHidden[]> {
  try {
    const table = await guest.call({ op: 'readFile', path: '/proc/self/mountinfo', limit: MOST_TABLE });
    const places = homesIn(config, new TextDecoder().decode(table.value), NEW_ROOT);
    const seen = await Promise.all(places.map((path) => isDirectory(guest, `${NEW_ROOT}${path}`)));
    return coveredPaths(
      config,
      places.filter((_path, index) => seen[index]),
    );
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    throw notHidden(error);
  }
}

/** False also for a place that a further mount covers. */
async function isDirectory(guest: Guest, path: string): Promise<boolean> {
  try {
    const { value } = await guest.call({ op: 'stat', path, follow: false }, { tolerate: true });
    return (value.mode & S_IFMT) === S_IFDIR;
  } catch (error) {
    const { ENOENT, ENOTDIR } = constants.errno;
    if (error instanceof OperationError && (error.errno === ENOENT || error.errno === ENOTDIR)) return false;
    throw error;
  }
}

function notHidden(cause: OperationError): SandboxError {
  const isLarge = cause.errno === constants.errno.EFBIG;
  return new SandboxError({
    stage: 'init',
    code: 'home-not-hidden',
    message: `the places where the container shows the home cannot be found: ${isLarge ? 'it has too many mounts' : cause.message}`,
    remedy: `leave out ${option('home')}, or take a root with fewer mounts (${option('root')})`,
    cause,
  });
}

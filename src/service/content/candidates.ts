/** Which files of packages are a service's own: those below /etc and /var. */
import { covers } from '../../config/path.js';
import type { PackageManager } from './types.js';

/** Where services have what is theirs. */
const OWN = ['/etc', '/var'];

/** What a package has there for others: /var/run is not kept, and what the other two have is the host's to do. */
const OF_OTHERS = ['/var/run', '/var/lock', '/etc/logrotate.d', '/etc/pam.d'];

/** Directories that are everybody's, though in a small root one package alone may have them. */
const SHARED = new Set(
  (
    '/etc /etc/alternatives /etc/cron.d /etc/cron.daily /etc/default /etc/init.d /etc/opt /etc/profile.d /etc/security ' +
    '/etc/ssh /etc/ssl /etc/ssl/certs /etc/ssl/private /etc/sysconfig /etc/systemd /etc/systemd/system /etc/tmpfiles.d ' +
    '/etc/sysctl.d /etc/udev /etc/udev/rules.d /etc/X11 /etc/xdg /etc/pki /etc/skel /etc/sudoers.d /var /var/backups ' +
    '/var/cache /var/db /var/empty /var/games /var/lib /var/lib/misc /var/lib/systemd /var/local /var/log /var/mail ' +
    '/var/opt /var/spool /var/spool/cron /var/tmp /var/www /var/lib/dpkg /var/lib/rpm'
  ).split(' '),
);

/** Where to look for files that are to be copied. */
export interface Candidate {
  /** In the root. */
  readonly path: string;
  /** Whether all that is in the directory counts, also what no package has. */
  readonly isWhole: boolean;
}

/**
 * Files of packages, and directories that no other package has. What is in one of these is not there for itself.
 * @param names of the packages
 */
export async function candidatesOf(manager: PackageManager, names: readonly string[]): Promise<Candidate[]> {
  const paths = (await manager.files(names)).filter(isCandidate);
  const owners = await manager.owners(paths);
  const own = new Set(names.flatMap((name) => [name, name.replace(/:[^:]*$/, '')]));
  const isOwn = (path: string) => !SHARED.has(path) && (owners.get(path) ?? []).every((owner) => own.has(owner));
  return outermost(paths.map((path) => ({ path, isWhole: isOwn(path) })));
}

function isCandidate(path: string): boolean {
  // Of lines with anything else no path can be made.
  const isPlain = !path.split('/').some((part) => part === '..' || part === '.') && !path.includes('\0');
  return (
    isPlain &&
    OWN.some((above) => covers(above, path) && above !== path) &&
    !OF_OTHERS.some((above) => covers(above, path))
  );
}

/** Each once, in the order of their paths, without what is in one that counts as a whole. */
export function outermost(candidates: readonly Candidate[]): Candidate[] {
  const whole = candidates.filter(({ isWhole }) => isWhole).map(({ path }) => path);
  const isWithin = (path: string) => whole.some((above) => above !== path && covers(above, path));
  const each = new Map<string, Candidate>();
  for (const one of candidates) {
    if (isWithin(one.path)) continue;
    each.set(one.path, { ...one, isWhole: one.isWhole || whole.includes(one.path) });
  }
  return [...each.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

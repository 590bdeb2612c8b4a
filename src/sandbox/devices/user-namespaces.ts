/** Whether an ordinary user may have the namespaces that a server of its own needs. */
import { readIfThere } from '../../util/small-files.js';

/** Settings of the kernel, and the value that forbids: user_namespaces(7); the second is Debian's, the third Ubuntu's. */
const SETTINGS = [
  { path: '/proc/sys/user/max_user_namespaces', forbids: '0' },
  { path: '/proc/sys/kernel/unprivileged_userns_clone', forbids: '0' },
  { path: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns', forbids: '1' },
];

/** Why a user may have no user namespaces; undefined: nothing that a file says. */
export function reasonAgainstUserNamespaces(read = readIfThere): string | undefined {
  const found = SETTINGS.find(({ path, forbids }) => read(path)?.trim() === forbids);
  if (found === undefined) return undefined;
  const name = found.path.slice('/proc/sys/'.length).replaceAll('/', '.');
  return `its virtiofsd needs a user namespace, and this host allows none (${name}=${found.forbids})`;
}

/** What is mounted there below /proc covers nothing: the kernel keeps an empty directory for it. */
const COVERS_NOTHING: readonly string[] = ['/proc/sys/fs/binfmt_misc', '/proc/fs/nfsd', '/proc/xen'];

/**
 * Why a user's namespace may have no /proc of its own; undefined: it may. The kernel gives it none where one is covered
 * in part, as container engines do, since the new one would uncover that.
 */
export function reasonAgainstProc(read = readIfThere): string | undefined {
  // proc_pid_mountinfo(5): the mount point is the fifth field.
  const points = (read('/proc/self/mountinfo') ?? '').split('\n').map((line) => line.split(' ')[4] ?? '');
  const covering = points.find((point) => point.startsWith('/proc/') && !COVERS_NOTHING.includes(point));
  if (covering === undefined) return undefined;
  return `its virtiofsd needs a /proc of its own, and ${covering} is covered here, as in a container`;
}

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
  return `its server needs a user namespace, and this host allows none (${name}=${found.forbids})`;
}

/** What the init runs for this program as root with all its capabilities, and not for the user inside. */
import type { GuestConfig } from '../../../init/common/config.js';

const ROOT = { uid: 0, gid: 0, groups: [], username: 'root', home: '/' };

export function asRoot(guest: GuestConfig): GuestConfig {
  return { ...guest, identity: ROOT, privileged: true, userNamespaces: false, environment: [], cwd: '/' };
}

/** Which links the includes of a sandbox may go over. */
import type { GuestConfig, GuestMount } from '../../../init/common/config.js';
import { hasOwnDirectories } from '../../../init/common/container.js';
import { MOUNT_POINTS } from '../../../init/common/mounts.js';
import { mountsWithHome } from '../../config/home.js';
import { covers, normalizePath } from '../../config/path.js';
import type { Mount, SandboxConfig } from '../../config/types.js';
import type { LinkRules, MountInside } from '../../includes/inside-mount.js';
import { linkInErofs } from '../../oci/erofs/link.js';
import { valueOr } from '../../util/errors.js';
import { linkIn } from '../../util/real-path.js';

/** Those of every root. */
const OF_KERNEL = ['/dev', '/proc', '/sys'];

/**
 * The rules for includes that are copied over the channel. In a container all links may lead to directories of the host.
 * In a machine only some can: those of a root that is not the host's, and those that an earlier run may have left. There
 * it is enough to look for them where the machine may write to such a directory, or to a disk.
 * @param asked what the guest was to be set up by
 * @param made the same, or with mounts that go over no links
 * @returns undefined: no link leads an include anywhere that matters
 */
export function linkRules(config: SandboxConfig, asked: GuestConfig, made: GuestConfig): LinkRules | undefined {
  const { platform, rootOverlay, identity, home } = asked;
  if (platform === 'machine' && !(reachesHost(config) && mayHaveLinks(asked, config))) return undefined;
  const fixed = [...(hasOwnDirectories(asked) ? MOUNT_POINTS.map((name) => `/${name}`) : OF_KERNEL)].map((target) => ({
    target,
  }));
  const mounts = asked.mounts.map((mount, index) => mountInside(mount, made.mounts[index]));
  const before = home?.after ?? 0;
  return {
    mounts: [
      ...fixed,
      ...mounts.slice(0, before),
      ...(home === undefined ? [] : [{ target: identity.home }]),
      ...mounts.slice(before),
    ],
    // An earlier run may have left others.
    isOwn: rootOverlay?.kept === undefined ? undefined : ownLinks(config),
  };
}

/**
 * Whether somebody may have left a link in the way of an include of a machine. Nobody has where the root is the host's,
 * and includes go into new file systems only, which are mounted in no directory that an earlier run may have changed.
 */
function mayHaveLinks({ ociRoot = false, overlay }: GuestConfig, config: SandboxConfig): boolean {
  const { root } = config;
  const mounts = mountsWithHome(config);
  const isKept = overlay !== undefined && overlay.type !== 'ram';
  if (ociRoot || isKept || mounts.some(({ type }) => type === 'host-image' || type === 'guest-bind')) return true;
  const ofRoot = mounts.findLast(isRoot);
  if (ofRoot === undefined ? root.type !== 'directory' || root.path !== '/' : isOld(ofRoot)) return true;
  // A mount gets to where a link leads, and may cover what an include is for.
  const old = mounts.filter((mount) => isOld(mount) && !isRoot(mount));
  return mounts.some((mount) => old.some((above) => above !== mount && covers(above.target, mount.target)));
}

function isRoot({ target }: Mount): boolean {
  return normalizePath(target) === '/';
}

/** Whether it may have what an earlier run has left. */
function isOld(mount: Mount): boolean {
  return mount.type === 'host-image' || (mount.type === 'host-bind' && mount.source !== undefined);
}

function reachesHost({ mounts, disks, home }: SandboxConfig): boolean {
  return (
    home?.type === 'directory' ||
    disks.some(({ readOnly }) => !readOnly) ||
    mounts.some((mount) => mount.type === 'host-bind' && !mount.readOnly)
  );
}

function mountInside(asked: GuestMount, made: GuestMount | undefined): MountInside {
  const isResolved = made !== undefined && made !== asked;
  return {
    target: asked.target,
    at: isResolved ? made.target : undefined,
    source: asked.type === 'bind' ? (isResolved && made.type === 'bind' ? made : asked).source : undefined,
  };
}

function ownLinks({ root }: SandboxConfig): LinkRules['isOwn'] {
  if (root.type === 'directory') return (path, leadsTo) => linkIn(root.path, path) === leadsTo;
  const { stored } = root;
  return (path, leadsTo) =>
    stored !== undefined && valueOr(() => linkInErofs(stored.path, path), undefined) === leadsTo;
}

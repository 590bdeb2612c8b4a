/** Which links the includes of a sandbox may go over. */
import type { GuestConfig, GuestMount } from '../../../init/common/config.js';
import { MOUNT_POINTS } from '../../../init/common/mounts.js';
import type { SandboxConfig } from '../../config/types.js';
import type { LinkRules, MountInside } from '../../includes/inside-mount.js';
import { linkInErofs } from '../../oci/erofs/link.js';
import { valueOr } from '../../util/errors.js';
import { linkIn } from '../../util/real-path.js';

/** Those of every root. */
const OF_KERNEL = ['/dev', '/proc', '/sys'];

/**
 * The rules for includes that are copied over the channel. In a container all links may lead to directories of the host;
 * in a machine those of an image, and those that an earlier run may have left, where it may write to such a directory.
 * @param asked what the guest was to be set up by
 * @param made the same, or with mounts that go over no links
 * @returns undefined: no link leads an include anywhere that matters
 */
export function linkRules(config: SandboxConfig, asked: GuestConfig, made: GuestConfig): LinkRules | undefined {
  const { platform, ociRoot = false, rootOverlay, identity, home } = asked;
  if (platform === 'machine' && !(mayHaveLinks(asked) && reachesHost(config))) return undefined;
  const fixed = [...(ociRoot ? OF_KERNEL : MOUNT_POINTS.map((name) => `/${name}`))].map((target) => ({ target }));
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

function mayHaveLinks({ ociRoot = false, overlay, root, mounts }: GuestConfig): boolean {
  const isKept = overlay !== undefined && overlay.type !== 'ram';
  return ociRoot || isKept || [root, ...mounts].some((mount) => mount.type === 'image' && !mount.readOnly);
}

function reachesHost({ mounts, home }: SandboxConfig): boolean {
  return home?.type === 'directory' || mounts.some((mount) => mount.type === 'host-bind' && !mount.readOnly);
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

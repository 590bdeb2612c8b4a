/**
 * The calls that only a container needs. libvirt has set up /dev, /proc and /sys and bound the host's directories, but
 * in a temporary root. These calls move everything to the sandbox's root.
 */
import { MapFlag, WriteFlag } from '../../src/protocol/wire.js';
import type { GuestConfig } from './config.js';
import { protectKernel } from './confine.js';
import {
  call,
  MNT_DETACH,
  MS_MOVE,
  MS_NODEV,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  mountOf,
  NEW_ROOT,
  type PlannedCall,
  type Step,
  tolerated,
} from './step.js';

/**
 * Where libvirt binds the host's directories. libvirt binds all of them before anything runs, but mounts must be made
 * in the order of the config, so each is moved from here when its turn comes. It is in /dev, which moves along into the
 * new root.
 */
export const STAGE = '/dev/.sandbox';

/** Where the file system of an OCI image is, without its overlay, until all mounts have been looked at. */
export const IMAGE_STAGE = `${STAGE}/image`;

export const USERS_STEP = 'users';

/**
 * The step that makes the application's user namespace. It comes first, since what the init makes belongs to the
 * namespace's root from then on.
 */
export function usersStep({ idMap }: GuestConfig): Step[] {
  return idMap === undefined ? [] : [{ name: USERS_STEP, calls: [call({ op: 'userNamespace', map: idMap })] }];
}

/**
 * Mounts what is at `source` on `target`, so that files have, inside, the owners that they have in their file system.
 * @param isRequired fails if the file system cannot do that
 */
export function mapped(source: string, target: string, isRequired: boolean): PlannedCall {
  return call({ op: 'mapMount', source, target, flags: isRequired ? 0 : MapFlag.OPTIONAL });
}

/**
 * Moves the mounts of libvirt into the new root. A link there would lead through the first root, which has to go away
 * with all that is mounted in it.
 */
export function leaveContainerRoot(): PlannedCall[] {
  return [
    // User 0 can write to all of it, even without capabilities, and it is the host's own hierarchy.
    tolerated({ op: 'unmount', path: '/sys/fs/cgroup', flags: MNT_DETACH }),
    moveOverNoLink('/dev'),
    // A root without /sys is unusual, and usable.
    { ...moveOverNoLink('/sys'), tolerate: true },
    moveOverNoLink('/proc'),
  ];
}

/** The `system` step of a container. It protects the kernel also from root with capabilities: it is the host's. */
export function containerSystemStep(config: GuestConfig): Step {
  const { ociRoot = false, service = false } = config;
  return {
    name: 'system',
    calls: [
      // It tells about the programs of the host.
      ...protectKernel(['/proc/timer_list']),
      call({ op: 'mkdir', path: '/dev/shm', mode: 0o1777 }),
      call(mountOf('tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
      ...(ociRoot || service ? [lowPorts()] : []),
      ...ownDirectories(config),
    ],
  };
}

/**
 * Whether /tmp and /run are in memory, as in most roots. An OCI image has directories of its own in /run, and whatever a
 * build has left in /tmp. Systemd makes what is needed there, and takes what it finds for its own of an earlier run.
 */
export function hasOwnDirectories({ ociRoot = false, systemd }: Pick<GuestConfig, 'ociRoot' | 'systemd'>): boolean {
  return !ociRoot || systemd !== undefined;
}

export function ownDirectories(config: Pick<GuestConfig, 'ociRoot' | 'systemd'>): PlannedCall[] {
  if (!hasOwnDirectories(config)) return [];
  return [
    tolerated(mountOf('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
    tolerated(mountOf('tmpfs', '/run', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755')),
  ];
}

/**
 * Lets everybody inside have ports below 1024, as other engines do. The network namespace is the container's own, and
 * belongs to the host's user namespace: there CAP_NET_BIND_SERVICE of the application means nothing.
 */
function lowPorts(): PlannedCall {
  const path = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
  const data = new TextEncoder().encode('0');
  return tolerated({ op: 'writeFile', path, mode: 0o644, flags: WriteFlag.APPEND, data });
}

export function move(source: string, target: string): PlannedCall {
  return call(mountOf(source, target, '', MS_MOVE, ''));
}

function moveOverNoLink(path: string): PlannedCall {
  return call(mountOf(path, `${NEW_ROOT}${path}`, '', MS_MOVE | MS_NOSYMFOLLOW, ''));
}

/**
 * The calls that only a container needs. libvirt has set up /dev, /proc and /sys and bound the host's directories, but
 * in a temporary root. These calls move everything to the sandbox's root.
 */
import {
  call,
  MS_BIND,
  MS_MOVE,
  MS_NODEV,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
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

const MNT_DETACH = 2;

/** Moves the mounts of libvirt into the new root. */
export function leaveContainerRoot(): PlannedCall[] {
  return [
    // User 0 can write to all of it, even without capabilities, and it is the host's own hierarchy.
    tolerated({ op: 'unmount', path: '/sys/fs/cgroup', flags: MNT_DETACH }),
    move('/dev', `${NEW_ROOT}/dev`),
    // A root without /sys is unusual, and usable.
    { ...move('/sys', `${NEW_ROOT}/sys`), tolerate: true },
    move('/proc', `${NEW_ROOT}/proc`),
  ];
}

/** The `system` step of a container. Unlike a machine's, it also protects the kernel, which is the host's. */
export function containerSystemStep(): Step {
  return {
    name: 'system',
    calls: [
      // User 0 without any capability could restart the host or turn off interrupts and buses by writing to these.
      ...READ_ONLY.flatMap(readOnly),
      ...MASKED.map((path) => tolerated(mountOf('/dev/null', path, '', MS_BIND, ''))),
      call({ op: 'mkdir', path: '/dev/shm', mode: 0o1777 }),
      call(mountOf('tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
      tolerated(mountOf('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
      tolerated(mountOf('tmpfs', '/run', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755')),
    ],
  };
}

/** Some kernels lack some of them. */
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sysrq-trigger'];
const MASKED = ['/proc/kcore', '/proc/keys', '/proc/timer_list'];

function readOnly(path: string): PlannedCall[] {
  return [
    tolerated(mountOf(path, path, '', MS_BIND, '')),
    tolerated(mountOf('', path, '', MS_BIND | MS_REMOUNT | MS_RDONLY, '')),
  ];
}

export function move(source: string, target: string): PlannedCall {
  return call(mountOf(source, target, '', MS_MOVE, ''));
}

/**
 * What is different in a container: libvirt has set up /dev, /proc and /sys for it and bound the directories of the host, but into a
 * root of its own. Here all of that moves to the sandbox's root.
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
 * Where libvirt binds the host's directories, each to be moved to its place in its turn: what a sandbox asks for is mounted in order, and
 * libvirt mounts before anything runs. In /dev, since that moves along into the new root.
 */
export const STAGE = '/dev/.sandbox';

const MNT_DETACH = 2;

/** Takes along what libvirt has set up. */
export function leaveContainerRoot(): PlannedCall[] {
  return [
    // A whole hierarchy, writable for user 0 even without capabilities, and with it the host's.
    tolerated({ op: 'unmount', path: '/sys/fs/cgroup', flags: MNT_DETACH }),
    move('/dev', `${NEW_ROOT}/dev`),
    // A root without /sys is unusual and still usable.
    { ...move('/sys', `${NEW_ROOT}/sys`), tolerate: true },
    move('/proc', `${NEW_ROOT}/proc`),
  ];
}

/** What the machine's plan does with fresh file systems, and what only a container needs: the kernel is the host's. */
export function containerSystemStep(): Step {
  return {
    name: 'system',
    calls: [
      // User 0 could restart the host, or turn its interrupts and buses off, with nothing but the right to write to these.
      ...READ_ONLY.flatMap(readOnly),
      ...MASKED.map((path) => tolerated(mountOf('/dev/null', path, '', MS_BIND, ''))),
      call({ op: 'mkdir', path: '/dev/shm', mode: 0o1777 }),
      call(mountOf('tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
      tolerated(mountOf('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
      tolerated(mountOf('tmpfs', '/run', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755')),
    ],
  };
}

/** Not every kernel has each of them. */
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

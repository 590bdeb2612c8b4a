/** The root, and the mounts that a sandbox asks for. */
import type { GuestConfig, GuestMount } from './config.js';
import {
  call,
  MS_BIND,
  MS_NODEV,
  MS_NOSUID,
  MS_RDONLY,
  mountOf,
  type PlannedCall,
  type Step,
  tolerated,
} from './step.js';

/** Where the initramfs mounts what becomes the root. */
const NEW_ROOT = '/newroot';

/**
 * 9p2000.L with a large message, so that a program is read in few round trips. The root cannot change from inside and is trusted to stay
 * as it is for the seconds of a run, so its pages and names may be cached; a directory that the host shares read-write is not cached.
 * https://docs.kernel.org/filesystems/9p.html
 */
const P9_OPTIONS = 'trans=virtio,version=9p2000.L,msize=512000';
const ROOT_CACHE = 'cache=loose';
const SHARE_CACHE = 'cache=mmap';

export function rootStep(config: GuestConfig): Step {
  const calls = [
    call(mountOf(config.root.tag, NEW_ROOT, '9p', MS_RDONLY, `${P9_OPTIONS},${ROOT_CACHE}`)),
    // The root is read-only, so what is mounted on it must already be there.
    call(mountOf('devtmpfs', `${NEW_ROOT}/dev`, 'devtmpfs', MS_NOSUID, 'mode=755')),
    call({ op: 'switchRoot', path: NEW_ROOT }),
  ];
  return { name: 'root', calls };
}

/** In the order in which they were asked for. */
export function mountSteps(config: GuestConfig): Step[] {
  return config.mounts.map((entry, index) => ({ name: `mount.${index}`, calls: mountCalls(entry) }));
}

function mountCalls(entry: GuestMount): PlannedCall[] {
  switch (entry.type) {
    case '9p':
      return [
        ...targetCalls(entry.target),
        call(mountOf(entry.tag, entry.target, '9p', entry.readOnly ? MS_RDONLY : 0, `${P9_OPTIONS},${SHARE_CACHE}`)),
      ];
    case 'ram':
      return [
        ...targetCalls(entry.target),
        call(mountOf('tmpfs', entry.target, 'tmpfs', MS_NOSUID | MS_NODEV, `size=${entry.bytes}`)),
      ];
    case 'bind':
      return [...targetCalls(entry.target), call(mountOf(entry.source, entry.target, '', MS_BIND, ''))];
  }
}

/** On a read-only root the directory can only be there already, so a failure to make it is left to the mount to report. */
function targetCalls(target: string): PlannedCall[] {
  return [tolerated({ op: 'mkdir', path: target, mode: 0o755 })];
}

/** The root, and the mounts that a sandbox asks for. */
import type { GuestConfig, GuestMount, GuestRoot, GuestStaged } from './config.js';
import { leaveContainerRoot, move, STAGE } from './container.js';
import { type Devices, deviceOf } from './disks.js';
import {
  call,
  MS_BIND,
  MS_NODEV,
  MS_NOSUID,
  MS_RDONLY,
  mountOf,
  NEW_ROOT,
  type PlannedCall,
  type Step,
  tolerated,
} from './step.js';

/** Mount points that a root needs; one that can be written to gets what it lacks. */
const MOUNT_POINTS = ['dev', 'proc', 'sys', 'tmp', 'run'];

/**
 * 9p2000.L with a large message, so that a program is read in few round trips. The root cannot change from inside and is trusted to stay
 * as it is for the seconds of a run, so its pages and names may be cached; a directory that the host shares read-write is not cached.
 * https://docs.kernel.org/filesystems/9p.html
 */
const P9_OPTIONS = 'trans=virtio,version=9p2000.L,msize=512000';
const ROOT_CACHE = 'cache=loose';
const SHARE_CACHE = 'cache=mmap';

export function rootStep({ root, platform }: GuestConfig, devices: Devices): Step {
  const calls = [
    // A container's root is there already, or the directory for it is not.
    ...(platform === 'container' && root.type !== 'staged' ? [call({ op: 'mkdir', path: NEW_ROOT, mode: 0o755 })] : []),
    ...(root.type === 'staged'
      ? []
      : [call(mountAt(root, NEW_ROOT, isReadOnly(root) ? ROOT_CACHE : SHARE_CACHE, devices))]),
    ...(isReadOnly(root)
      ? []
      : MOUNT_POINTS.map((name) => tolerated({ op: 'mkdir', path: `${NEW_ROOT}/${name}`, mode: 0o755 }))),
    // What is mounted on a read-only root must already be there.
    ...(platform === 'container'
      ? leaveContainerRoot()
      : [call(mountOf('devtmpfs', `${NEW_ROOT}/dev`, 'devtmpfs', MS_NOSUID, 'mode=755'))]),
    call({ op: 'switchRoot', path: NEW_ROOT }),
  ];
  return { name: 'root', calls };
}

/** In the order in which they were asked for. */
export function mountSteps(config: GuestConfig, devices: Devices): Step[] {
  return config.mounts.map((entry, index) => ({ name: `mount.${index}`, calls: mountCalls(entry, devices) }));
}

function mountCalls(entry: GuestMount, devices: Devices): PlannedCall[] {
  const { target } = entry;
  const directory: PlannedCall = call({ op: 'mkdir', path: target, mode: 0o755 });
  switch (entry.type) {
    case 'staged':
      return [directory, move(`${STAGE}/${entry.tag}`, target)];
    case '9p':
    case 'virtiofs':
    case 'image':
    case 'ram':
      return [directory, call(mountAt(entry, target, SHARE_CACHE, devices))];
    case 'bind':
      return [
        // mount(2) itself does not say which of the two is missing.
        call({ op: 'stat', path: entry.source, follow: true }),
        // A file is bound on a file.
        { ...directory, tolerate: true },
        call(mountOf(entry.source, target, '', MS_BIND, '')),
      ];
  }
}

function mountAt(entry: Exclude<GuestRoot, GuestStaged>, target: string, cache: string, devices: Devices) {
  const flags = isReadOnly(entry) ? MS_RDONLY : 0;
  switch (entry.type) {
    case '9p':
      return mountOf(entry.tag, target, '9p', flags, `${P9_OPTIONS},${cache}`);
    case 'virtiofs':
      return mountOf(entry.tag, target, 'virtiofs', flags, '');
    case 'image':
      return mountOf(deviceOf(devices, entry.serial), target, entry.filesystem, flags, entry.options);
    case 'ram':
      return mountOf('tmpfs', target, 'tmpfs', MS_NOSUID | MS_NODEV, `size=${entry.bytes},mode=755`);
  }
}

function isReadOnly(entry: GuestRoot): boolean {
  return entry.type !== 'ram' && entry.readOnly;
}

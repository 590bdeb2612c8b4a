/** The steps that mount the root and the mounts of the config. */
import { posix } from 'node:path';
import type { GuestConfig, GuestImage, GuestMount, GuestRoot, GuestStaged, ShareCache } from './config.js';
import { leaveBootMounts } from './confine.js';
import { leaveContainerRoot, mapped, move, STAGE } from './container.js';
import { type Devices, deviceOf } from './disks.js';
import { LOWER_ROOT, overlayCalls } from './overlay.js';
import {
  call,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  mountOf,
  NEW_ROOT,
  type PlannedCall,
  type Step,
  tolerated,
  UMOUNT_NOFOLLOW,
} from './step.js';

/** Mount points that a root needs. Missing ones are made if the root is writable. */
export const MOUNT_POINTS = ['dev', 'proc', 'sys', 'tmp', 'run'];

/**
 * 9p2000.L with large messages, so that a program is read in few round trips.
 * https://docs.kernel.org/filesystems/9p.html
 */
const P9_OPTIONS = 'trans=virtio,version=9p2000.L,msize=512000';

/**
 * `none` looks every name up anew, asks the host for the attributes, and reads past the page cache. With it nothing can
 * be mapped to be written to, so what is not read-only has `mmap`, which would keep what was read of a file for as long
 * as any program has it open; `directio` reads past that. A kernel before 6.4 does not know `directio`, nor does its
 * `mmap` keep what was read. `loose` never asks again.
 */
function p9Cache(cache: ShareCache, isReadOnly: boolean): string {
  if (cache === 'always') return 'cache=loose';
  return cache === 'never' || isReadOnly ? 'cache=none' : 'cache=mmap,directio';
}

export function rootStep(config: GuestConfig, devices: Devices): Step {
  const { root, overlay, rootOverlay, platform } = config;
  const calls = [
    ...(rootOverlay === undefined || root.type === 'staged' ? rootCalls(config, devices) : []),
    ...(isReadOnly(root) && overlay === undefined && rootOverlay === undefined
      ? []
      : MOUNT_POINTS.map((name) => tolerated({ op: 'mkdir', path: `${NEW_ROOT}/${name}`, mode: modeOf(name) }))),
    // A read-only root must have the mount points.
    ...(platform === 'container'
      ? leaveContainerRoot()
      : [call(mountOf('devtmpfs', `${NEW_ROOT}/dev`, 'devtmpfs', MS_NOSUID, 'mode=755')), ...leaveBootMounts(config)]),
    call({ op: 'switchRoot', path: NEW_ROOT }),
  ];
  return { name: 'root', calls };
}

function rootCalls(config: GuestConfig, devices: Devices): PlannedCall[] {
  const { root, overlay, platform } = config;
  return [
    // In a container, libvirt has mounted a staged root; for any other the mount point is missing.
    ...(platform === 'container' && root.type !== 'staged' ? [call({ op: 'mkdir', path: NEW_ROOT, mode: 0o755 })] : []),
    ...(overlay === undefined || root.type === 'staged'
      ? plainRoot(config, devices)
      : overlayCalls({ ...config, overlay }, call(rootAt(root, LOWER_ROOT, devices)), devices)),
  ];
}

/** Nothing is mounted on the /tmp of an OCI image. */
function modeOf(mountPoint: string): number {
  return mountPoint === 'tmp' ? 0o1777 : 0o755;
}

function plainRoot(config: GuestConfig, devices: Devices): PlannedCall[] {
  const { root } = config;
  return [...(root.type === 'staged' ? [] : [call(rootAt(root, NEW_ROOT, devices))]), ...rootOwners(config)];
}

function rootAt(root: Exclude<GuestRoot, GuestStaged>, target: string, devices: Devices) {
  return mountAt(root, target, devices);
}

/** Mounts the root once more, over itself, with its owners. The one below goes away with libvirt's root. */
function rootOwners(config: GuestConfig): PlannedCall[] {
  const { root } = config;
  if (config.idMap === undefined || !ownsFiles(root)) return [];
  return [mapped(NEW_ROOT, NEW_ROOT, root.type === 'staged' && needsOwners(config))];
}

function ownsFiles(entry: GuestRoot | GuestMount): boolean {
  return entry.type === 'image' || (entry.type === 'staged' && entry.keepsOwners);
}

/**
 * Root inside is nobody on the host, and so is every user of an OCI image. Any other user is the same there, and owns
 * the same files.
 */
function needsOwners({ identity, ociRoot = false }: GuestConfig): boolean {
  return identity.uid === 0 || ociRoot;
}

export const HIDE_STEP = 'hide';

/** Covers what the application must not see of the root. A machine's root comes without it. */
export function hideStep({ hidden = [] }: GuestConfig): Step[] {
  if (hidden.length === 0) return [];
  const calls = hidden.map(({ path, isDirectory }) =>
    call(
      isDirectory
        ? mountOf('tmpfs', path, 'tmpfs', MS_RDONLY | MS_NOSUID | MS_NODEV, 'mode=555,size=4k')
        : mountOf('/dev/null', path, '', MS_BIND, ''),
    ),
  );
  return [{ name: HIDE_STEP, calls }];
}

export const HOME_STEP = 'home';

/** A home in memory: src/sandbox/devices/home.ts */
function homeStep({ home, identity, idMap }: GuestConfig): Step[] {
  if (home === undefined) return [];
  const { uid, gid } = identity;
  // What the init makes in a user namespace is root's there.
  const options = idMap !== undefined && uid === 0 ? 'mode=700' : `mode=700,uid=${uid},gid=${gid}`;
  const mount = mountOf('tmpfs', identity.home, 'tmpfs', MS_NOSUID | MS_NODEV, options);
  const directory = call({ op: 'mkdir', path: identity.home, mode: 0o755 });
  // One that was not asked for: without it the working directory is /.
  return [{ name: HOME_STEP, calls: home.isAsked ? [directory, call(mount)] : [tolerated(mount)] }];
}

/** One step for each mount, in the order of the config, and one for a home in memory. */
export function mountSteps(config: GuestConfig, devices: Devices): Step[] {
  const steps = config.mounts.map((entry, index) => ({
    name: `mount.${index}`,
    calls:
      config.idMap !== undefined && ownsFiles(entry)
        ? ownedCalls(entry, config, devices)
        : mountCalls(entry, config, devices),
  }));
  const before = config.home?.after ?? 0;
  return [...steps.slice(0, before), ...homeStep(config), ...steps.slice(before)];
}

/** A mount with its owners, in a container whose application has a user namespace. */
function ownedCalls(entry: GuestMount, config: GuestConfig, devices: Devices): PlannedCall[] {
  const { target } = entry;
  const directory: PlannedCall = call({ op: 'mkdir', path: target, mode: 0o755 });
  if (entry.type !== 'image' && entry.type !== 'staged') return mountCalls(entry, config, devices);
  const stage = `${STAGE}/${entry.type === 'staged' ? entry.tag : entry.serial}`;
  return [
    directory,
    ...(entry.type === 'staged' ? [] : stageImage(entry, stage, devices)),
    mapped(stage, target, entry.type === 'staged' && needsOwners(config)),
    call({ op: 'unmount', path: stage, flags: MNT_DETACH }),
  ];
}

function stageImage(entry: GuestImage, stage: string, devices: Devices): PlannedCall[] {
  return [call({ op: 'mkdir', path: stage, mode: 0o700 }), call(mountAt(entry, stage, devices))];
}

function mountCalls(entry: GuestMount, config: GuestConfig, devices: Devices): PlannedCall[] {
  const { target } = entry;
  const directory: PlannedCall = call({ op: 'mkdir', path: target, mode: 0o755 });
  switch (entry.type) {
    case 'staged':
      return [directory, move(`${STAGE}/${entry.tag}`, target)];
    case '9p':
    case 'virtiofs':
    case 'image':
    case 'ram':
      return [directory, call(mountAt(entry, target, devices))];
    case 'bind':
      return [
        // mount(2) does not say whether source or target is missing.
        call({ op: 'stat', path: entry.source, follow: true }),
        // A file is bound on a file, which mkdir refuses.
        { ...directory, tolerate: true },
        ...bindCalls(entry.source, target, config),
      ];
  }
}

function bindCalls(source: string, target: string, config: GuestConfig): PlannedCall[] {
  if (!showsMounts(config, source)) return [call(mountOf(source, target, '', MS_BIND, ''))];
  const calls = [call(mountOf(source, target, '', MS_BIND | MS_REC, ''))];
  if (posix.normalize(source) !== '/') return calls;
  // These are no part of the root. In /dev is what has still to be moved.
  const system = MOUNT_POINTS.map((name) => posix.join(target, name));
  const flags = MNT_DETACH | UMOUNT_NOFOLLOW;
  return [...calls, ...system.map((path) => tolerated({ op: 'unmount', path, flags }))];
}

/**
 * Whether a bind of that directory has what is mounted in it, too: what covers hidden paths there. With an overlay
 * `source` has no links (src/sandbox/setup/ways.ts).
 */
export function showsMounts({ hidden = [] }: Pick<GuestConfig, 'hidden'>, source: string): boolean {
  const above = posix.join('/', source, '/');
  return hidden.some(({ path }) => path.startsWith(above));
}

function mountAt(entry: Exclude<GuestRoot, GuestStaged>, target: string, devices: Devices) {
  const flags = isReadOnly(entry) ? MS_RDONLY : 0;
  switch (entry.type) {
    case '9p':
      return mountOf(entry.tag, target, '9p', flags, `${P9_OPTIONS},${p9Cache(entry.cache ?? 'auto', entry.readOnly)}`);
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

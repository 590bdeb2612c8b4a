/**
 * The calls that lay a writable file system over the root: memory, a disk, or a directory of the host.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */
import type { GuestConfig, GuestOverlay } from './config.js';
import { type Devices, deviceOf, nodesOf } from './disks.js';
import {
  call,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  mountOf,
  NEW_ROOT,
  type PlannedCall,
} from './step.js';

/** Where the layers are mounted meanwhile. An overlay keeps them, so the path goes away. */
const OVERLAY = '/overlay';
const KEPT = `${OVERLAY}/kept`;

/** Where the root as it is belongs before the overlay is made. */
export const LOWER_ROOT = `${OVERLAY}/lower`;

/**
 * `xino=on` gives all files one device number, which `du -x` looks at; `auto` would not for 9p. An index is for what is
 * not needed here. `metacopy` would leave files half on the host, which may change them. `volatile` would leave out
 * syncs, of which a tmpfs has none.
 */
const OPTIONS = 'index=off,metacopy=off,xino=on';

/**
 * With `on`, rename(2) moves a directory of the root, as anywhere else. A redirect is a path of the lower layer, which
 * may lead elsewhere in a later run, so a layer that is kept has none: rename(2) of such a directory answers EXDEV, and
 * `mv` copies.
 */
const REDIRECTS: Readonly<Record<GuestOverlay['type'], string>> = {
  ram: 'redirect_dir=on',
  image: 'redirect_dir=nofollow',
  virtiofs: 'redirect_dir=nofollow',
};

/**
 * What is removed is freed on the host. What mkfs left for later need not be done: an image that is made is zeros.
 */
const EXT4_OPTIONS = 'discard,noinit_itable,errors=remount-ro';

/** Of the mount with the layers; the overlay has its own. Whoever gets hold of it gains nothing by what is there. */
const LAYERS_FLAGS = MS_NODEV | MS_NOSUID;

/** No user: the application cannot be it, and so cannot open what belongs to it without a capability. */
const NOBODYS = 0xfffffffe;

/** What is laid over the root, and whether the application has capabilities. */
type OverlayOptions = Pick<GuestConfig, 'privileged' | 'ociRoot' | 'keepsSys'> & { readonly overlay: GuestOverlay };

/** @param lower the call that mounts the root as it is at {@link LOWER_ROOT} */
export function overlayCalls(
  { overlay, privileged, ociRoot = false, keepsSys }: OverlayOptions,
  lower: PlannedCall,
  devices: Devices,
): PlannedCall[] {
  const directory = directoryOf(overlay);
  // A sandbox with capabilities may have left a node that lets all open the disk, or the memory. An OCI image may have one.
  const flags = privileged || (overlay.type === 'ram' && !ociRoot) ? 0 : MS_NODEV;
  const layers = `lowerdir=${LOWER_ROOT},upperdir=${directory}/upper,workdir=${directory}/work`;
  return [
    call({ op: 'mkdir', path: OVERLAY, mode: 0o700 }),
    call(mountOf('tmpfs', OVERLAY, 'tmpfs', LAYERS_FLAGS, 'mode=700')),
    call({ op: 'mkdir', path: LOWER_ROOT, mode: 0o700 }),
    lower,
    ...upperCalls(overlay, directory, devices),
    call(mountOf('overlay', NEW_ROOT, 'overlay', flags, `${layers},${REDIRECTS[overlay.type]},${OPTIONS}`)),
    // For virt-sandbox-ctl diff. What the host keeps it reads itself.
    ...(overlay.type === 'virtiofs' ? [] : [call({ op: 'keep', path: directory })]),
    ...(keepsSys ? sysCalls(`${OVERLAY}/sys`) : []),
    // Nobody inside finds a path to them, but through the init's descriptor, with all capabilities.
    call({ op: 'unmount', path: OVERLAY, flags: MNT_DETACH }),
  ];
}

/** The second one that the init keeps. */
function sysCalls(path: string): PlannedCall[] {
  return [
    call({ op: 'mkdir', path, mode: 0o700 }),
    call(mountOf('sysfs', path, 'sysfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    call({ op: 'keep', path }),
  ];
}

function directoryOf(overlay: GuestOverlay): string {
  if (overlay.type === 'ram') return OVERLAY;
  return overlay.type === 'image' && overlay.of !== undefined ? `${KEPT}/${keptFor(overlay.of)}` : KEPT;
}

/** The directory with the layers over an OCI image, on a disk that was made for it: there they lie over no other root. */
export function keptFor(id: string): string {
  return `image-${id}`;
}

/** What makes the upper layer. The host has made the directories of one that it keeps. */
function upperCalls(overlay: GuestOverlay, directory: string, devices: Devices): PlannedCall[] {
  if (overlay.type === 'virtiofs')
    return [call({ op: 'mkdir', path: KEPT, mode: 0o700 }), call(mountOf(overlay.tag, KEPT, 'virtiofs', 0, ''))];
  const { mode, uid, gid } = overlay;
  const upper = `${directory}/upper`;
  return [
    ...(overlay.type === 'image' ? diskCalls(deviceOf(devices, overlay.serial)) : []),
    // mkdir would make it.
    ...(directory.startsWith(`${KEPT}/`) ? [call({ op: 'stat', path: directory, follow: false })] : []),
    // An overlay shows the mode and the owners of the upper directory for its topmost one.
    call({ op: 'mkdir', path: upper, mode }),
    ...(uid === 0 && gid === 0 ? [] : [call({ op: 'chown', path: upper, uid, gid })]),
    call({ op: 'mkdir', path: `${directory}/work`, mode: 0o700 }),
  ];
}

/** Mounts the disk, and keeps the application from the device: what is on it belongs to all users inside. */
function diskCalls(device: string): PlannedCall[] {
  return [
    call({ op: 'mkdir', path: KEPT, mode: 0o700 }),
    // Links in the places of the layers would lead to what the init has.
    call(mountOf(device, KEPT, 'ext4', LAYERS_FLAGS | MS_NOSYMFOLLOW, EXT4_OPTIONS)),
    call({ op: 'chmod', path: device, mode: 0 }),
    call({ op: 'chown', path: device, uid: NOBODYS, gid: NOBODYS }),
  ];
}

/**
 * Covers the disk of an overlay, and what is found on it: neither owner nor mode is a wall for CAP_DAC_OVERRIDE, which
 * root of an OCI image has. Call it when the root's own /dev is mounted; whoever may unmount has all capabilities.
 */
export function coverOverlayDisk({ overlay, privileged }: GuestConfig, devices: Devices): PlannedCall[] {
  if (overlay?.type !== 'image' || privileged) return [];
  return nodesOf(devices, overlay.serial).map((path) => call(mountOf('/dev/null', path, '', MS_BIND, '')));
}

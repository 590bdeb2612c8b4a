/**
 * The calls that lay a writable file system in memory over the root.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */
import type { GuestOverlay } from './config.js';
import { call, MNT_DETACH, mountOf, NEW_ROOT, type PlannedCall } from './step.js';

/** Where the memory and the root as it is are mounted meanwhile. An overlay keeps them, so the path goes away. */
const OVERLAY = '/overlay';
const UPPER = `${OVERLAY}/upper`;
const WORK = `${OVERLAY}/work`;

/** Where the root as it is belongs before the overlay is made. */
export const LOWER_ROOT = `${OVERLAY}/lower`;

/**
 * `redirect_dir` lets rename(2) move a directory of the root, as anywhere else. `xino=on` gives all files one device
 * number, which `du -x` looks at; `auto` would not for 9p. Nothing outlives the sandbox, so no index is needed, and
 * `metacopy` would leave files half on the host, which may change them. A tmpfs syncs nothing, so that `volatile` saves
 * nothing.
 */
const OPTIONS = 'redirect_dir=on,index=off,metacopy=off,xino=on';

/**
 * An overlay shows the mode and the owners of the upper directory for its topmost one.
 * @param lower the call that mounts the root as it is at {@link LOWER_ROOT}
 */
export function overlayCalls({ mode, uid, gid }: GuestOverlay, lower: PlannedCall): PlannedCall[] {
  const layers = `lowerdir=${LOWER_ROOT},upperdir=${UPPER},workdir=${WORK}`;
  return [
    call({ op: 'mkdir', path: OVERLAY, mode: 0o700 }),
    call(mountOf('tmpfs', OVERLAY, 'tmpfs', 0, 'mode=700')),
    call({ op: 'mkdir', path: LOWER_ROOT, mode: 0o700 }),
    lower,
    call({ op: 'mkdir', path: UPPER, mode }),
    ...(uid === 0 && gid === 0 ? [] : [call({ op: 'chown', path: UPPER, uid, gid })]),
    call({ op: 'mkdir', path: WORK, mode: 0o700 }),
    call(mountOf('overlay', NEW_ROOT, 'overlay', 0, `${layers},${OPTIONS}`)),
    // Nobody inside finds a path to them.
    call({ op: 'unmount', path: OVERLAY, flags: MNT_DETACH }),
  ];
}

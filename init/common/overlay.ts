/**
 * The calls that lay a writable file system in memory over the root.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */
import type { GuestLayer, GuestOverlay } from './config.js';
import { call, MNT_DETACH, mountOf, NEW_ROOT, type PlannedCall } from './step.js';

/** Where the memory and the root as it is are mounted meanwhile. An overlay keeps them, so the path goes away. */
export const OVERLAY = '/overlay';

/** Where the root as it is belongs before the overlay is made. */
export const LOWER_ROOT = `${OVERLAY}/lower`;

/**
 * `redirect_dir` lets rename(2) move a directory of the root, as anywhere else. `xino=on` gives all files one device
 * number, which `du -x` looks at; `auto` would not for 9p. Nothing outlives the sandbox, so
 * no index is needed, and `metacopy` would leave files half on the host, which may change them. A tmpfs syncs nothing,
 * so that `volatile` saves nothing.
 */
const OPTIONS = 'redirect_dir=on,index=off,metacopy=off,xino=on';

/**
 * @param lower calls that bring the root as it is to {@link LOWER_ROOT}
 */
export function overlayCalls({ bytes, layers }: GuestOverlay, lower: readonly PlannedCall[]): PlannedCall[] {
  return [
    call({ op: 'mkdir', path: OVERLAY, mode: 0o700 }),
    call(mountOf('tmpfs', OVERLAY, 'tmpfs', 0, `${bytes === undefined ? '' : `size=${bytes},`}mode=700`)),
    call({ op: 'mkdir', path: LOWER_ROOT, mode: 0o700 }),
    ...lower,
    ...layers.flatMap(layerCalls),
    // Nobody inside finds a path to them.
    call({ op: 'unmount', path: OVERLAY, flags: MNT_DETACH }),
  ];
}

/** An overlay shows the mode and the owners of `upper` for its topmost directory. */
function layerCalls({ path, mode, uid, gid }: GuestLayer, index: number): PlannedCall[] {
  const [upper, work] = ['upper', 'work'].map((name) => `${OVERLAY}/${index}/${name}`) as [string, string];
  const below = path === '/' ? '' : path;
  const layers = `lowerdir=${escaped(`${LOWER_ROOT}${below}`)},upperdir=${upper},workdir=${work}`;
  return [
    call({ op: 'mkdir', path: upper, mode }),
    ...(uid === 0 && gid === 0 ? [] : [call({ op: 'chown', path: upper, uid, gid })]),
    call({ op: 'mkdir', path: work, mode: 0o700 }),
    call(mountOf('overlay', `${NEW_ROOT}${below}`, 'overlay', 0, `${layers},${OPTIONS}`)),
  ];
}

/** A comma ends an option, and a colon begins another lower directory. */
function escaped(path: string): string {
  return path.replace(/[\\,:]/g, '\\$&');
}

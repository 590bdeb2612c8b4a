/** Steps and calls, which plans are made of. The MS_ flags are those of mount(2), from <linux/mount.h>. */
import type { Operation } from '../../src/protocol/operations.js';

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
/** Since Linux 5.10; earlier ones ignore it. With {@link MS_MOVE} a link at the target is not followed. */
export const MS_NOSYMFOLLOW = 256;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
/** A flag of umount2(2). */
export const MNT_DETACH = 2;
/** A flag of umount2(2). */
export const UMOUNT_NOFOLLOW = 8;

/** Where the root is mounted until the init switches to it. */
export const NEW_ROOT = '/newroot';

export interface PlannedCall {
  readonly operation: Operation;
  /** The plan goes on if this call fails. */
  readonly tolerate?: boolean;
}

/** A named part of the plan; `LIBVIRT_SANDBOX_INIT_DEBUG=break:NAME` stops before it. */
export interface Step {
  readonly name: string;
  readonly calls: readonly PlannedCall[];
}

export function mountOf(source: string, target: string, fstype: string, flags: number, data: string): Operation {
  return { op: 'mount', source, target, fstype, flags, data };
}

export function call(operation: Operation): PlannedCall {
  return { operation };
}

export function tolerated(operation: Operation): PlannedCall {
  return { operation, tolerate: true };
}

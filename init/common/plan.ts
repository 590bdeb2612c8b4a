/**
 * The plan: from what a sandbox is to the operations that make it, in order. Pure, so that it can be tested and printed without a guest.
 *
 * Flags are those of mount(2) in <linux/mount.h>.
 */
import type { Operation } from '../../src/guest/operations.js';
import type { GuestConfig, GuestMount } from './config.js';

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_BIND = 4096;

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

export interface PlannedCall {
  readonly operation: Operation;
  /** The plan goes on when it fails. */
  readonly tolerate?: boolean;
}

/** A named part of the plan; `LIBVIRT_SANDBOX_INIT_DEBUG=break:NAME` stops before it. */
export interface Step {
  readonly name: string;
  readonly calls: readonly PlannedCall[];
}

/** What varies from run to run and is no part of the sandbox. */
export interface RunInputs {
  /** The host's time when the plan is sent. */
  readonly now: { readonly seconds: bigint; readonly nanoseconds: number };
  /** Random bytes for the guest's pool; clones of one machine must not share it. */
  readonly entropy: Uint8Array;
}

/** The steps that make `config`, up to but without the application itself. */
export function planSandbox(config: GuestConfig, inputs: RunInputs): Step[] {
  return [
    {
      name: 'clock',
      calls: [
        { operation: { op: 'setClock', ...inputs.now } },
        { operation: { op: 'addEntropy', data: inputs.entropy } },
      ],
    },
    { name: 'root', calls: rootCalls(config) },
    { name: 'system', calls: systemCalls() },
    ...config.mounts.map((entry, index) => ({ name: `mount.${index}`, calls: mountCalls(entry) })),
    {
      name: 'network',
      calls: [{ operation: { op: 'linkUp', link: 'lo' } }, { operation: { op: 'hostname', name: config.hostname } }],
    },
  ];
}

function rootCalls(config: GuestConfig): PlannedCall[] {
  return [
    call(mountOf(config.root.tag, NEW_ROOT, '9p', MS_RDONLY, `${P9_OPTIONS},${ROOT_CACHE}`)),
    // The root is read-only, so what is mounted on it must already be there.
    call(mountOf('devtmpfs', `${NEW_ROOT}/dev`, 'devtmpfs', MS_NOSUID, 'mode=755')),
    call({ op: 'switchRoot', path: NEW_ROOT }),
  ];
}

function systemCalls(): PlannedCall[] {
  return [
    call(mountOf('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    // A root without /sys or /run is unusual and still usable.
    tolerated(mountOf('sysfs', '/sys', 'sysfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    call({ op: 'mkdir', path: '/dev/pts', mode: 0o755 }),
    call(mountOf('devpts', '/dev/pts', 'devpts', MS_NOSUID | MS_NOEXEC, 'newinstance,gid=5,mode=620,ptmxmode=666')),
    call({ op: 'mkdir', path: '/dev/shm', mode: 0o1777 }),
    call(mountOf('tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
    call({ op: 'symlink', target: '/proc/self/fd', path: '/dev/fd' }),
    call({ op: 'symlink', target: '/proc/self/fd/0', path: '/dev/stdin' }),
    call({ op: 'symlink', target: '/proc/self/fd/1', path: '/dev/stdout' }),
    call({ op: 'symlink', target: '/proc/self/fd/2', path: '/dev/stderr' }),
    tolerated(mountOf('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
    tolerated(mountOf('tmpfs', '/run', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=755')),
  ];
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

function mountOf(source: string, target: string, fstype: string, flags: number, data: string): Operation {
  return { op: 'mount', source, target, fstype, flags, data };
}

function call(operation: Operation): PlannedCall {
  return { operation };
}

function tolerated(operation: Operation): PlannedCall {
  return { operation, tolerate: true };
}

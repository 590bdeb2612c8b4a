/**
 * Takes from an application without capabilities what the kernel gives to user 0 all the same: files that root may
 * write by owning them, and programs that the kernel starts with every capability.
 */
import { WriteFlag } from '../../src/protocol/wire.js';
import type { GuestConfig } from './config.js';
import {
  call,
  MNT_DETACH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  mountOf,
  type PlannedCall,
  type Step,
  tolerated,
} from './step.js';

/**
 * Sets the kernel's state by files that user 0 may write without any capability: restart, interrupts, buses. Some
 * kernels lack some of them.
 */
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sysrq-trigger'];
/** Tells what is in the kernel's memory. */
const MASKED = ['/proc/kcore', '/proc/keys'];

/**
 * Protects the kernel from whoever is inside. In a container it is the host's, and libvirt protects /proc/sys and /sys.
 *
 * @param masked more files to mask
 */
export function protectKernel(masked: readonly string[] = []): PlannedCall[] {
  return [
    ...READ_ONLY.flatMap((path) => readOnly(path).map(tolerated)),
    ...[...MASKED, ...masked].map((path) => tolerated(mountOf('/dev/null', path, '', MS_BIND, ''))),
  ];
}

/**
 * The step of a machine whose application has no capabilities. It comes after all that needs /proc/sys or /sys.
 *
 * The kernel starts programs with every capability when user 0 makes it: `|PROGRAM` in core_pattern, modprobe,
 * request-key. So it gets to give them none: https://docs.kernel.org/admin-guide/sysctl/kernel.html#usermodehelper
 */
export function confineStep({ platform, privileged, userNamespaces = false }: GuestConfig): Step[] {
  if (platform === 'container' || privileged) return [];
  const calls = [
    call(write('/proc/sys/kernel/usermodehelper/bset', '0 0')),
    // A kernel without user namespaces has no such file.
    ...(userNamespaces ? [] : [tolerated(write('/proc/sys/user/max_user_namespaces', '0'))]),
    ...readOnly('/proc/sys').map(call),
    // A root without /sys is unusual, and usable.
    tolerated(mountOf('', '/sys', '', REMOUNT_READ_ONLY, '')),
    ...protectKernel(),
  ];
  return [{ name: 'confine', calls }];
}

/**
 * Takes the boot's own /proc and /sys out of the mount namespace, before the root covers them. As long as they are in
 * it, the kernel lets whoever has a user namespace mount a new one, without what is read-only or hidden in the root's.
 */
export function leaveBootMounts({ privileged, userNamespaces = false }: GuestConfig): PlannedCall[] {
  if (privileged || !userNamespaces) return [];
  return ['/proc', '/sys'].map((path) => call({ op: 'unmount', path, flags: MNT_DETACH }));
}

const REMOUNT_READ_ONLY = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

function readOnly(path: string) {
  return [mountOf(path, path, '', MS_BIND, ''), mountOf('', path, '', REMOUNT_READ_ONLY, '')];
}

function write(path: string, text: string) {
  // Appending is what truncates nothing, which saves the kernel work.
  return { op: 'writeFile', path, mode: 0o600, flags: WriteFlag.APPEND, data: new TextEncoder().encode(text) } as const;
}

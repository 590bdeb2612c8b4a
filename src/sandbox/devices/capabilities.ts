/** The capabilities of this process: capabilities(7). */
import { readFileSync } from 'node:fs';

/** Bits in linux/capability.h */
const SYS_PTRACE = 19n;
const SYS_ADMIN = 21n;
const SYS_NICE = 23n;

/** Whether it may write to the memory of another user's QEMU: proc_pid_fd(5), ptrace(2). */
export function mayFillMemory(): boolean {
  return hasCapability(SYS_PTRACE);
}

/** Whether what it starts may have namespaces of its own: unshare(2). */
export function mayMakeNamespaces(): boolean {
  return hasCapability(SYS_ADMIN);
}

/**
 * The highest real-time priority that it may give its processes, 0 to 99: sched(7), getrlimit(2) of RLIMIT_RTPRIO.
 */
export function mostRealTimePriority(): number {
  if (hasCapability(SYS_NICE)) return 99;
  const [, limit = '0'] = /^Max realtime priority\s+(\w+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return limit === 'unlimited' ? 99 : Number(limit);
}

function hasCapability(bit: bigint): boolean {
  const [, held = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return ((BigInt(`0x${held}`) >> bit) & 1n) === 1n;
}

/** The capabilities of this process: capabilities(7). */
import { readFileSync } from 'node:fs';

/** CAP_SYS_PTRACE in linux/capability.h */
const SYS_PTRACE = 19n;

/** Whether it may write to the memory of another user's QEMU: proc_pid_fd(5), ptrace(2). */
export function mayFillMemory(): boolean {
  const [, held = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return ((BigInt(`0x${held}`) >> SYS_PTRACE) & 1n) === 1n;
}

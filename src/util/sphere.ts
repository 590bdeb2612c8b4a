/** Where process IDs mean the same: one boot of a host, and one PID namespace on it. */
import { readFileSync, readlinkSync } from 'node:fs';
import { valueOr } from './errors.js';

/**
 * `BOOT-NAMESPACE`: processes with the same value see each other under the same PIDs. init/supervisor/owner.c reads
 * it too.
 */
export function sphere(): string {
  const boot = valueOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'), 'unknown');
  const namespace = valueOr(() => readlinkSync('/proc/self/ns/pid'), '0');
  return `${boot.trim().replaceAll('-', '').slice(0, 12)}-${namespace.replace(/\D/g, '')}`;
}

/** Hardware addresses of network interfaces. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isSystemError } from '../util/errors.js';

/** The prefix that QEMU and libvirt use: locally administered, of a virtual machine. */
const PREFIX = [0x52, 0x54, 0x00] as const;

/**
 * The address of an interface that was given none. The same sandbox has the same one again, so that a DHCP server knows it; one of another
 * host or user has another.
 * @param index counts the interfaces of the sandbox from 0
 */
export function macOf(name: string, index: number): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([hostId(), process.getuid?.() ?? 0, name, index]))
    .digest();
  return [...PREFIX, ...digest.subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** machine-id(5), which containers and minimal systems may not have. */
function hostId(): string {
  try {
    const id = readFileSync('/etc/machine-id', 'utf8').trim();
    if (id !== '') return id;
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  return hostname();
}

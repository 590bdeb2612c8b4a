/** Hardware addresses of network interfaces. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isSystemError } from '../util/errors.js';

/** The prefix of QEMU and libvirt: locally administered. */
const PREFIX = [0x52, 0x54, 0x00] as const;

/**
 * The address of an interface whose config has none. It depends on host, user, sandbox name and index, so a DHCP server
 * knows the same sandbox again.
 * @param index counts the interfaces of the sandbox from 0
 */
export function macOf(name: string, index: number): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([hostId(), process.getuid?.() ?? 0, name, index]))
    .digest();
  return [...PREFIX, ...digest.subarray(0, 3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** machine-id(5), or the host name: containers and minimal systems may have no machine-id. */
function hostId(): string {
  try {
    const id = readFileSync('/etc/machine-id', 'utf8').trim();
    if (id !== '') return id;
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  return hostname();
}

/**
 * The XML of a machine's devices for shells beside the application.
 *
 * https://libvirt.org/formatdomain.html#consoles-serial-parallel-channel-devices
 */
import { accessSync, constants, statSync } from 'node:fs';
import { SHELL_NAME } from '../protocol/wire.js';
import { isSystemError } from '../util/errors.js';
import type { Element } from './xml.js';

const PTMX = '/dev/ptmx';
const OTHERS_READ_WRITE = 0o006;

/** The virtio-serial port for sessions. QEMU listens on the socket and serves one client at a time. */
export function shellChannel(socket: string): Element {
  return {
    '@type': 'unix',
    source: { '@mode': 'bind', '@path': socket },
    target: { '@type': 'virtio', '@name': SHELL_NAME },
  };
}

/** A serial line for `virsh console`, which takes the first one if that is a pseudo-terminal. */
export function shellSerial(): Element {
  return { '@type': 'pty', target: { '@port': 0 } };
}

/**
 * Whether QEMU can open a pseudo-terminal. Some containers have a /dev/ptmx for root only, and the system daemon runs
 * QEMU as a user of its own.
 */
export function canMakeTerminals(kind: 'system' | 'session'): boolean {
  try {
    if (kind === 'system') return (statSync(PTMX).mode & OTHERS_READ_WRITE) === OTHERS_READ_WRITE;
    accessSync(PTMX, constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

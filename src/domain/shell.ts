/**
 * What a machine has for shells beside its application.
 *
 * https://libvirt.org/formatdomain.html#consoles-serial-parallel-channel-devices
 */
import { SHELL_NAME } from '../guest/wire.js';
import type { Element } from './xml.js';

/** The port that carries sessions. QEMU listens on the socket, and takes one host after the other. */
export function shellChannel(socket: string): Element {
  return {
    '@type': 'unix',
    source: { '@mode': 'bind', '@path': socket },
    target: { '@type': 'virtio', '@name': SHELL_NAME },
  };
}

/** A serial line for `virsh console`, which takes the first and only one that is a pseudo-terminal. */
export function shellSerial(): Element {
  return { '@type': 'pty', target: { '@port': 0 } };
}

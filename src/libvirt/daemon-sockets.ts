/** The sockets of libvirt's daemons for machines of root's: https://libvirt.org/daemons.html */
import { existsSync } from 'node:fs';

/** Where distributions have them. */
export const MACHINE_SOCKETS = ['/run/libvirt/virtqemud-sock', '/run/libvirt/libvirt-sock'] as const;

/** The one that is there; undefined: none. Whether a daemon listens on it is not known. */
export function machineSocket(): string | undefined {
  return MACHINE_SOCKETS.find((path) => existsSync(path));
}

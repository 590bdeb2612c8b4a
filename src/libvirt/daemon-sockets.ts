/** The sockets of libvirt's daemons: https://libvirt.org/daemons.html */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DaemonKind } from './connection.js';
import { runtimeDirectory } from './qemu-process.js';

/** Where distributions have those for machines of root's. */
export const MACHINE_SOCKETS = ['/run/libvirt/virtqemud-sock', '/run/libvirt/libvirt-sock'] as const;

/** The one that is there; undefined: none. Whether a daemon listens on it is not known. */
export function machineSocket(): string | undefined {
  return MACHINE_SOCKETS.find((path) => existsSync(path));
}

/** Where a daemon with that driver may listen: the daemon with one driver comes first, as libvirt has it. */
export function daemonSockets(kind: DaemonKind): readonly string[] {
  if (kind === 'system') return MACHINE_SOCKETS;
  if (kind === 'lxc') return ['/run/libvirt/virtlxcd-sock', '/run/libvirt/libvirt-sock'];
  const directory = join(runtimeDirectory(), 'libvirt');
  return [join(directory, 'virtqemud-sock'), join(directory, 'libvirt-sock')];
}

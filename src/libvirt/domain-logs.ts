/**
 * Logs that libvirt's daemons write: one for each domain name, and one for each virtiofsd. The daemons never remove
 * them, and each sandbox has a new name, so they are removed here.
 */
import { existsSync, statSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { valueOr } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import type { DaemonKind } from './connection.js';

/** Constants in libvirt's source. */
const DIRECTORIES = { system: '/var/log/libvirt/qemu', lxc: '/var/log/libvirt/lxc' } as const;

/**
 * Paths of the logs that a domain will have. Existing files are left out: they belong to another domain that had the
 * same name.
 */
export function newLogs(kind: DaemonKind, name: string, xml: string): string[] {
  return [logOf(kind, name), ...serverLogs(kind, name, xml)].filter((path) => !existsSync(path));
}

/** Paths of the logs that servers of a domain's directories may have. */
export function serverLogs(kind: DaemonKind, name: string, xml: string): string[] {
  const shares = xml.split('<filesystem').length - 1;
  return Array.from({ length: shares }, (_, index) => logOf(kind, `${name}-fs${index}-virtiofsd`));
}

/** Path of the log of a domain or a virtiofsd. */
export function logOf(kind: DaemonKind, name: string): string {
  const directory = kind === 'session' ? join(baseDirectory('XDG_CACHE_HOME'), 'libvirt/qemu/log') : DIRECTORIES[kind];
  return join(directory, `${name}.log`);
}

/** Size of a log in bytes; 0 if it does not exist or cannot be read. */
export function sizeOf(log: string): number {
  return valueOr(() => statSync(log).size, 0);
}

/**
 * Removes logs. Errors are ignored: not every share has a log, and an ordinary user may not remove those of the system
 * daemon.
 */
export async function removeLogs(logs: readonly string[]): Promise<void> {
  await Promise.allSettled(logs.map((path) => unlink(path)));
}

/**
 * What libvirt's daemons write of a domain: a log for each name, and one for each virtiofsd. They never remove them, and a sandbox has a name
 * that nobody else will ever have.
 */
import { existsSync, statSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { valueOr } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import type { DaemonKind } from './daemon.js';

/** libvirt's own constants. */
const DIRECTORIES = { system: '/var/log/libvirt/qemu', lxc: '/var/log/libvirt/lxc' } as const;

/** The logs that a domain is going to have; one that is there already belongs to somebody else's domain of that name, and is not among them. */
export function logsToCome(kind: DaemonKind, name: string, xml: string): string[] {
  const shares = xml.split('<filesystem').length - 1;
  const names = [name, ...Array.from({ length: shares }, (_, index) => `${name}-fs${index}-virtiofsd`)];
  return names.map((log) => logOf(kind, log)).filter((path) => !existsSync(path));
}

/** The log of a domain, or of one of its helpers. */
export function logOf(kind: DaemonKind, name: string): string {
  const directory = kind === 'session' ? join(baseDirectory('XDG_CACHE_HOME'), 'libvirt/qemu/log') : DIRECTORIES[kind];
  return join(directory, `${name}.log`);
}

/** How much a log has so far, in bytes; 0 where there is none, or it is not for us. */
export function sizeOf(log: string): number {
  return valueOr(() => statSync(log).size, 0);
}

/** A user of root's daemon may not, and not every share has one. */
export async function removeLogs(logs: readonly string[]): Promise<void> {
  await Promise.allSettled(logs.map((path) => unlink(path)));
}

/** The directories of the host that a sandbox is given. */
import type { HostBindMount, SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { findInPath } from '../../util/programs.js';
import { mayFillMemory } from './capabilities.js';

export const ROOT_TAG = 'sandbox:root';

/** Of a directory that QEMU serves. */
export function shareTag(number: number): string {
  return `sandbox:mount${number}`;
}

export function virtiofsTag(number: number): string {
  return `sandbox:virtiofs${number}`;
}

/** What serves directories on this host. */
export interface ShareServer {
  readonly kind: ConnectionKind;
  /** virtiofs can also be had read-only. */
  readonly readOnlyVirtiofs: boolean;
}

/** https://libvirt.org/news.html: as libvirt counts, 11.0.0. */
const READ_ONLY_VIRTIOFS = 11_000_000;

/**
 * Asks only where there is something to be served read-only by root. Whoever insists on a saved machine that cannot be given virtiofs has it served by
 * QEMU.
 */
export async function shareServer({ mounts, boot }: SandboxConfig, kind: ConnectionKind): Promise<ShareServer> {
  const asks = isForeign(kind) && mounts.some((mount) => mount.type === 'host-bind' && mount.readOnly);
  if (!asks || (boot === 'warm' && !mayFillMemory()) || findInPath('virtiofsd') === undefined)
    return { kind, readOnlyVirtiofs: false };
  const { loadLibrary } = await import('../../libvirt/library.js');
  return { kind, readOnlyVirtiofs: loadLibrary().version() >= READ_ONLY_VIRTIOFS };
}

/**
 * Where QEMU is a user of its own, as under root it is, it could neither get at the person's directories nor give a new file its owner. Where
 * it is the person, it can do what the person can, and needs no help.
 */
export function transportOf({ readOnly }: HostBindMount, { kind, readOnlyVirtiofs }: ShareServer): Share['transport'] {
  return isForeign(kind) && (!readOnly || readOnlyVirtiofs) ? 'virtiofs' : '9p';
}

function isForeign(kind: ConnectionKind): boolean {
  return kind === 'system' || process.getuid?.() === 0;
}

/** How directories of the host are served, and their tags. */
import type { HostBindMount, SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import type { Connection, ConnectionKind } from '../../libvirt/connection.js';
import { findInPath } from '../../util/programs.js';
import { mayFillMemory } from './capabilities.js';
import { shareProgram } from './share-server.js';

/** The tag of the root, where QEMU serves it. A snapshot has a device of this tag. */
export const ROOT_TAG = 'sandbox:root';
/** The tag of the root that virtiofsd serves. */
export const VIRTIOFS_ROOT_TAG = 'sandbox:rootfs';

export function rootTag(transport: Share['transport']): string {
  return transport === '9p' ? ROOT_TAG : VIRTIOFS_ROOT_TAG;
}

/** Whether this is the root, and no mount. */
export function isRoot({ tag }: Pick<Share, 'tag'>): boolean {
  return tag === ROOT_TAG || tag === VIRTIOFS_ROOT_TAG;
}

/** The tag of a 9p share, which QEMU serves. */
export function shareTag(number: number): string {
  return `sandbox:mount${number}`;
}

/** The tag of a share that virtiofsd serves. */
export function virtiofsTag(number: number): string {
  return `sandbox:virtiofs${number}`;
}

/** What can serve directories on this host. */
export interface ShareServer {
  readonly kind: ConnectionKind;
  /** virtiofs can serve read-only. */
  readonly readOnlyVirtiofs: boolean;
  /** What libvirt starts for a share over virtiofs; undefined: its own virtiofsd. */
  readonly program?: string | undefined;
}

/** libvirt 11.0.0, as a number: https://libvirt.org/news.html */
const READ_ONLY_VIRTIOFS = 11_000_000;

/**
 * Finds out what can serve directories. libvirt's version is only asked for if it matters: for a read-only share whose
 * QEMU is another user. With `--boot warm`, QEMU serves read-only shares if a snapshot could not be given virtiofs.
 */
export async function shareServer({ mounts, boot }: SandboxConfig, kind: ConnectionKind): Promise<ShareServer> {
  const binds = isForeign(kind) ? mounts.filter((mount) => mount.type === 'host-bind') : [];
  const program = binds.length > 0 ? shareProgram(kind) : undefined;
  const asks = binds.some(({ readOnly }) => readOnly);
  if (!asks || (boot === 'warm' && !mayFillMemory()) || findInPath('virtiofsd') === undefined)
    return { kind, readOnlyVirtiofs: false, program };
  return { kind, readOnlyVirtiofs: await servesReadOnly(), program };
}

/**
 * Whether virtiofs can serve read-only here.
 * @param connection to a daemon, which is asked; else libvirt's library is loaded, which takes some 20 ms
 */
export async function servesReadOnly(connection?: Pick<Connection, 'version'>): Promise<boolean> {
  const version = await connection?.version();
  if (version !== undefined) return version >= READ_ONLY_VIRTIOFS;
  const { libraryVersion } = await import('../../libvirt/library-version.js');
  return libraryVersion() >= READ_ONLY_VIRTIOFS;
}

/**
 * virtiofs if QEMU runs as a user of its own, as it does for root: such a QEMU could neither read the caller's
 * directories nor set the owner of a new file. 9p if QEMU runs as the caller.
 */
export function transportOf({ readOnly }: HostBindMount, { kind, readOnlyVirtiofs }: ShareServer): Share['transport'] {
  return isForeign(kind) && (!readOnly || readOnlyVirtiofs) ? 'virtiofs' : '9p';
}

/** Whether QEMU runs as another user than the caller. */
export function isForeign(kind: ConnectionKind): boolean {
  return kind === 'system' || process.getuid?.() === 0;
}

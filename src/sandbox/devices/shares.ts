/** The directories of the host that a sandbox is given. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { normalizePath } from '../../config/path.js';
import type { HostBindMount, SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { findInPath } from '../../util/programs.js';
import { mayFillMemory } from '../prepare/capabilities.js';

export const ROOT_TAG = 'sandbox:root';

/** @param stateDirectory where fresh directories are */
export function sharesOf(config: SandboxConfig, server: ShareServer, stateDirectory: string): Share[] {
  const root: Share = { tag: ROOT_TAG, directory: config.root, readOnly: true, transport: '9p' };
  const binds = config.mounts.flatMap((mount, index): Share[] => {
    if (mount.type !== 'host-bind') return [];
    const transport = transportOf(mount, server);
    const directory = mountSource(mount, index, stateDirectory);
    return [{ tag: mountTag(config.mounts, index, server), directory, readOnly: mount.readOnly, transport }];
  });
  return rootMount(config) === undefined ? [root, ...binds] : binds;
}

/** By the number among the shares of its kind, so that the machine's devices depend on how many there are and on nothing else. */
export function mountTag(mounts: SandboxConfig['mounts'], index: number, server: ShareServer): string {
  const transports = mounts
    .slice(0, index + 1)
    .flatMap((mount) => (mount.type === 'host-bind' ? [transportOf(mount, server)] : []));
  const own = transports.pop() ?? '9p';
  const number = transports.filter((transport) => transport === own).length;
  return own === '9p' ? shareTag(number) : `sandbox:virtiofs${number}`;
}

/** Of a directory that QEMU serves. */
export function shareTag(number: number): string {
  return `sandbox:mount${number}`;
}

/** The mount that replaces the root. */
export function rootMount(config: SandboxConfig): number | undefined {
  const index = config.mounts.findIndex(({ target }) => normalizePath(target) === '/');
  return index < 0 ? undefined : index;
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

/** Makes the directories that last as long as the sandbox; the state directory is removed with all that is in it, whatever ends the launcher. */
export function makeFreshDirectories({ mounts, identity }: SandboxConfig, stateDirectory: string): void {
  for (const [index, mount] of mounts.entries()) {
    if (mount.type !== 'host-bind' || mount.source !== undefined) continue;
    const path = mountSource(mount, index, stateDirectory);
    mkdirSync(path, { mode: 0o700 });
    if (process.getuid?.() === 0) chownSync(path, identity.uid, identity.gid);
  }
}

/** The directory of the host that is seen inside; a fresh one is in the state directory. */
export function mountSource({ source }: HostBindMount, index: number, stateDirectory: string): string {
  return source ?? join(stateDirectory, `mount${index}`);
}

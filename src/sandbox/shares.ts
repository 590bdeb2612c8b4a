/** The directories of the host that a sandbox is given. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { placeOf } from '../config/path.js';
import type { HostBindMount, SandboxConfig } from '../config/types.js';
import type { Share } from '../domain/shares.js';
import type { ConnectionKind } from '../libvirt/connection.js';

export const ROOT_TAG = 'sandbox:root';

/** @param stateDirectory where fresh directories are */
export function sharesOf(config: SandboxConfig, kind: ConnectionKind, stateDirectory: string): Share[] {
  const root: Share = { tag: ROOT_TAG, directory: config.root, readOnly: true, transport: '9p' };
  const binds = config.mounts.flatMap((mount, index): Share[] => {
    if (mount.type !== 'host-bind') return [];
    const directory = mountSource(mount, index, stateDirectory);
    return [{ tag: mountTag(index), directory, readOnly: mount.readOnly, transport: transportOf(mount, kind) }];
  });
  return rootMount(config) === undefined ? [root, ...binds] : binds;
}

export function mountTag(index: number): string {
  return `sandbox:mount${index}`;
}

/** The mount that replaces the root. */
export function rootMount(config: SandboxConfig): number | undefined {
  const index = config.mounts.findIndex(({ target }) => placeOf(target) === '/');
  return index < 0 ? undefined : index;
}

/**
 * Where QEMU is a user of its own, as under root it is, it could neither write to the person's directories nor give a new file its owner. Where
 * it is the person, it can do what the person can, and needs no help.
 */
export function transportOf(mount: HostBindMount, kind: ConnectionKind): Share['transport'] {
  if (mount.readOnly) return '9p';
  return kind === 'system' || process.getuid?.() === 0 ? 'virtiofs' : '9p';
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

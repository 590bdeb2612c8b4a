/**
 * The control groups of systemd in a container, where nobody else removes them: with controllers of version 1, libvirt
 * has no group of version 2 for a container, and those of systemd are at the top of that hierarchy.
 */
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestConfig } from '../../../init/common/config.js';
import { groupNameOf } from '../../../init/common/systemd.js';
import { valueOr } from '../../util/errors.js';

/** Where hosts mount control groups of version 2, beside version 1 too. */
const MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** Groups are no deeper: cgroup.max.depth of most hosts is larger, and what is left is empty. */
const MOST_LEVELS = 32;

/** Removes what a container has left. Groups without processes take some memory, and do nothing. */
export function removeSystemdGroups({ platform, systemd }: GuestConfig): void {
  if (platform !== 'container' || systemd === undefined) return;
  for (const mount of MOUNTS) removeGroup(join(mount, groupNameOf(systemd)), MOST_LEVELS);
}

/** A file of a group cannot be removed, and goes with it. */
function removeGroup(path: string, levels: number): void {
  const below = levels > 0 ? valueOr(() => readdirSync(path, { withFileTypes: true }), []) : [];
  for (const entry of below) if (entry.isDirectory()) removeGroup(join(path, entry.name), levels - 1);
  valueOr(() => rmdirSync(path), undefined);
}

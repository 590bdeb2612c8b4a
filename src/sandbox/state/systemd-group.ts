/**
 * The control groups of systemd in a container: init/common/systemd.ts makes them. Where libvirt has a group of version
 * 2 for a container, its own process is in that, and a group with processes hands no controllers down. Where libvirt has
 * none, since controllers are of version 1, those of systemd are at the top of that hierarchy, and nobody else removes
 * them.
 */
import { lstatSync, mkdirSync, readdirSync, rmdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestConfig } from '../../../init/common/config.js';
import { groupNameOf } from '../../../init/common/systemd.js';
import { valueOr } from '../../util/errors.js';
import { readIfThere } from '../../util/small-files.js';

/** Where hosts mount control groups of version 2, beside version 1 too. */
const MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** Groups are no deeper: cgroup.max.depth of most hosts is larger, and what is left is empty. */
const MOST_LEVELS = 32;

/** A group that libvirt has made for a container, without systemd or with it. In the scope is one more. */
const OF_CONTAINER = /\.libvirt-lxc$|\/machine-lxc[^/]*\.scope(?:\/libvirt)?$/;

/** libvirt takes a process that is in such a group for one of the group above, also when its daemon starts again. */
const BESIDE = 'emulator';

/**
 * Moves the process of libvirt to a group beside that of the container's init, which root inside never sees. Libvirt
 * itself does not ask for the controller of processes. What cannot be done, `start` says of the limits of units.
 * @param controller process ID
 */
export function makeRoomForSystemd({ systemd }: GuestConfig, controller: number | undefined): void {
  if (systemd === undefined || controller === undefined) return;
  const group = /^0::(.*)$/m.exec(readIfThere(`/proc/${controller}/cgroup`) ?? '')?.[1] ?? '';
  if (!OF_CONTAINER.test(group)) return;
  for (const mount of MOUNTS) {
    const path = join(mount, group);
    // Beside controllers of version 1 there are none to be handed down.
    if (readIfThere(join(path, 'cgroup.controllers'))?.trim() === '') continue;
    const write = (file: string, text: string) => valueOr(() => writeFileSync(file, text, { flag: 'r+' }), undefined);
    write(join(path, '../cgroup.subtree_control'), '+pids');
    valueOr(() => mkdirSync(join(path, BESIDE)), undefined);
    write(join(path, BESIDE, 'cgroup.procs'), String(controller));
  }
}

/** As {@link groupNameOf} names them. */
const NAME = /^virt-sandbox-[0-9a-f]{32}$/;

/** More than a group is without processes when a container starts, in milliseconds. */
const MAKING_MS = 60_000;

/** Removes those of containers whose launcher was killed: nobody else does. */
export function removeLeftGroups({ platform, systemd }: GuestConfig): void {
  if (platform !== 'container' || systemd === undefined) return;
  for (const mount of MOUNTS)
    for (const name of valueOr(() => readdirSync(mount), []).filter((one) => NAME.test(one))) {
      const path = join(mount, name);
      const seen = valueOr(() => lstatSync(path).mtimeMs, undefined);
      if (seen === undefined) continue;
      const isEmpty = readIfThere(join(path, 'cgroup.events'))?.startsWith('populated 0\n') === true;
      if (!isEmpty) continue;
      if (Date.now() - seen > MAKING_MS) removeGroup(path, MOST_LEVELS);
      // The kernel makes up the time when somebody looks, and keeps only one that was set.
      else valueOr(() => utimesSync(path, seen / 1000, seen / 1000), undefined);
    }
}

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

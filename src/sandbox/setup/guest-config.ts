/** From a sandbox to what the common init is told of it. */
import type { GuestConfig, GuestDisk, GuestMount, GuestRoot, TerminalSize } from '../../../init/common/config.js';
import type { Mount, SandboxConfig } from '../../config/types.js';
import { type Filesystem, READ_ONLY_FILESYSTEMS } from '../../disk-image/superblock.js';
import { containerDevices } from '../../domain/disks.js';
import { lateProcessors } from '../../domain/processors.js';
import { diskSerial, disksOf, imageSerial } from '../devices/disks.js';
import { CONTAINER_DHCP_CLIENT, guestNetwork } from '../devices/interfaces.js';
import { mountTag, ROOT_TAG, rootMount, transportOf } from '../devices/shares.js';
import { takenSlots } from '../snapshot/slots.js';
import type { Prepared, PreparedMachine } from '../types.js';

/** The terminal that the application is to have. */
export interface Terminal extends TerminalSize {
  /** TERM */
  readonly type: string;
}

export function guestConfig(
  config: SandboxConfig,
  prepared: Pick<Prepared, 'name' | 'images' | 'server'> & Partial<Pick<PreparedMachine, 'warm' | 'acceleration'>>,
  terminal: Terminal | undefined,
): GuestConfig {
  const mounts = config.mounts.map((mount, index) => guestMount(config, prepared, mount, index));
  const atRoot = rootMount(config);
  const container = prepared.server.kind === 'lxc';
  return {
    platform: container ? 'container' : 'machine',
    lateProcessors: prepared.acceleration ? lateProcessors(config.vcpus, prepared.acceleration) : 0,
    hostname: hostnameOf(prepared.name),
    root: rootOf(atRoot === undefined ? undefined : mounts[atRoot], container),
    mounts: mounts.filter((_mount, index) => index !== atRoot),
    disks: config.disks.map(({ tag }, index): GuestDisk => ({ tag, serial: diskSerial(index) })),
    network: guestNetwork(config, prepared.name, container ? CONTAINER_DHCP_CLIENT : undefined),
    devices: container ? containerDevices(disksOf(config, prepared.images)) : undefined,
    lateDevices: prepared.warm !== undefined && mounts.some(({ type }) => type === 'virtiofs'),
    slots: prepared.warm ? takenSlots(prepared.warm, config, prepared.images) : undefined,
    identity: config.identity,
    privileged: config.privileged === true,
    environment: config.environment,
    cwd: config.cwd,
    command: config.command,
    terminal: config.tty ? (terminal ?? { rows: 24, columns: 80, type: 'linux' }) : undefined,
  };
}

function rootOf(mount: GuestMount | undefined, container: boolean): GuestRoot {
  if (mount === undefined) return { type: container ? 'staged' : '9p', tag: ROOT_TAG, readOnly: true };
  if (mount.type === 'bind') throw new Error('validateConfig() lets no directory inside replace the root');
  return mount;
}

function guestMount(
  { identity, mounts }: SandboxConfig,
  { images, server }: Pick<Prepared, 'images' | 'server'>,
  mount: Mount,
  index: number,
): GuestMount {
  const { target } = mount;
  switch (mount.type) {
    case 'host-bind':
      return {
        type: server.kind === 'lxc' ? 'staged' : transportOf(mount, server),
        tag: mountTag(mounts, index, server),
        target,
        readOnly: mount.readOnly,
      };
    case 'ram':
      return { type: 'ram', target, bytes: mount.usage };
    case 'guest-bind':
      return { type: 'bind', source: mount.source, target };
    case 'host-image': {
      const contents = images.get(index);
      if (contents === undefined) throw new Error(`${target}: inspectImages() looks into every image`);
      const { filesystem } = contents;
      const readOnly = mount.readOnly || READ_ONLY_FILESYSTEMS.has(filesystem);
      return {
        type: 'image',
        serial: imageSerial(index),
        filesystem,
        options: optionsOf(filesystem, identity),
        target,
        readOnly,
      };
    }
  }
}

/** A file system that knows no owners is the user's as a whole, and says nothing when it cannot keep the mode of a file. */
function optionsOf(filesystem: Filesystem, { uid, gid }: SandboxConfig['identity']): string {
  return filesystem === 'vfat' ? `uid=${uid},gid=${gid},umask=022,quiet` : '';
}

/** A name as a host may have it: gethostname(7) allows letters, digits and hyphens, 63 of them. */
function hostnameOf(name: string): string {
  const legal = name.replace(/[^A-Za-z0-9-]+/g, '-').replace(/^-+|-+$/g, '');
  return legal.slice(0, 63) || 'sandbox';
}

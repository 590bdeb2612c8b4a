/** What each mount of a sandbox is on the host and inside. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestMount } from '../../../init/common/config.js';
import { driverOf } from '../../config/parsers/disk-image.js';
import { normalizePath } from '../../config/path.js';
import type { HostBindMount, HostImageMount, SandboxConfig } from '../../config/types.js';
import { type Filesystem, READ_ONLY_FILESYSTEMS } from '../../disk-image/superblock.js';
import type { DiskDevice } from '../../domain/disks.js';
import type { Share } from '../../domain/shares.js';
import { type Images, imageSerial } from './disks.js';
import { type ShareServer, shareTag, transportOf, virtiofsTag } from './shares.js';

/** A mount. What a share is called and whether it is read-only is the same on both sides. */
export interface MountDevice {
  readonly guest: GuestMount;
  /** The directory of the host that is mounted. */
  readonly share?: Share;
  /** The disk whose file system is mounted. */
  readonly disk?: DiskDevice;
}

interface MountFacts {
  readonly images: Images;
  readonly server: ShareServer;
  /** Where fresh directories are. */
  readonly stateDirectory: string;
}

export function mountDevices(config: SandboxConfig, { images, server, stateDirectory }: MountFacts): MountDevice[] {
  const shares = new ShareNumbers();
  return config.mounts.map((mount, index): MountDevice => {
    const { target } = mount;
    switch (mount.type) {
      case 'host-bind': {
        const transport = transportOf(mount, server);
        const { readOnly } = mount;
        const tag = shares.nextTag(transport);
        const directory = mountSource(mount, index, stateDirectory);
        return {
          share: { tag, directory, readOnly, transport },
          // libvirt binds it into a container, where the common init moves it.
          guest: { type: server.kind === 'lxc' ? 'staged' : transport, tag, target, readOnly },
        };
      }
      case 'host-image':
        return imageDevice(mount, index, images, config.identity);
      case 'guest-bind':
        return { guest: { type: 'bind', source: mount.source, target } };
      case 'ram':
        return { guest: { type: 'ram', target, bytes: mount.usage } };
      default:
        return mount satisfies never;
    }
  });
}

/** Numbers shares among those of their transport, so that a machine's devices depend on how many there are and on nothing else. */
class ShareNumbers {
  readonly #next: Record<Share['transport'], number> = { '9p': 0, virtiofs: 0 };

  nextTag(transport: Share['transport']): string {
    const number = this.#next[transport];
    this.#next[transport] += 1;
    return transport === '9p' ? shareTag(number) : virtiofsTag(number);
  }
}

function imageDevice(
  { source, format, readOnly, target }: HostImageMount,
  index: number,
  images: Images,
  identity: SandboxConfig['identity'],
): MountDevice {
  const contents = images.get(index);
  if (contents === undefined) throw new Error(`${target}: inspectImages() looks into every image`);
  const { filesystem, isBlock } = contents;
  const serial = imageSerial(index);
  return {
    disk: { serial, source, format: driverOf(format), readOnly, isBlock },
    guest: {
      type: 'image',
      serial,
      filesystem,
      options: optionsOf(filesystem, identity),
      target,
      readOnly: readOnly || READ_ONLY_FILESYSTEMS.has(filesystem),
    },
  };
}

/** A file system that knows no owners is the user's as a whole, and says nothing when it cannot keep the mode of a file. */
function optionsOf(filesystem: Filesystem, { uid, gid }: SandboxConfig['identity']): string {
  return filesystem === 'vfat' ? `uid=${uid},gid=${gid},umask=022,quiet` : '';
}

/** The number of the mount that replaces the root. */
export function rootMount(config: SandboxConfig): number | undefined {
  const index = config.mounts.findIndex(({ target }) => normalizePath(target) === '/');
  return index < 0 ? undefined : index;
}

/** The directory of the host that is seen inside; a fresh one is in the state directory. */
function mountSource({ source }: HostBindMount, index: number, stateDirectory: string): string {
  return source ?? join(stateDirectory, `mount${index}`);
}

/** Makes the directories that last as long as the sandbox; the state directory is removed with all that is in it, whatever ends the launcher. */
export function makeFreshDirectories({ mounts, identity }: SandboxConfig, devices: readonly MountDevice[]): void {
  for (const [index, mount] of mounts.entries()) {
    const { share } = devices[index] ?? {};
    if (share === undefined || mount.type !== 'host-bind' || mount.source !== undefined) continue;
    mkdirSync(share.directory, { mode: 0o700 });
    if (process.getuid?.() === 0) chownSync(share.directory, identity.uid, identity.gid);
  }
}

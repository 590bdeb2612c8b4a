/** The devices behind the mounts of a sandbox. */
import { chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GuestMount } from '../../../init/common/config.js';
import { driverOf } from '../../config/parsers/disk-image.js';
import { normalizePath } from '../../config/path.js';
import type { HostBindMount, HostImageMount, SandboxConfig } from '../../config/types.js';
import { type Filesystem, READ_ONLY_FILESYSTEMS } from '../../disk-image/superblock.js';
import type { DiskDevice } from '../../domain/disks.js';
import type { Share } from '../../domain/shares.js';
import { makeDirectories } from '../../util/directories.js';
import { closedDirectory } from '../state/alias.js';
import { type Images, imageSerial } from './disks.js';
import { fileInContainer, mountsFile } from './erofs-file.js';
import { type ShareServer, shareTag, transportOf, virtiofsTag } from './shares.js';

/** A mount, for the guest and for the XML. */
export interface MountDevice {
  readonly guest: GuestMount;
  /** Set for a directory of the host. */
  readonly share?: Share;
  /** Set for an image, but for one that a container mounts as a file. */
  readonly disk?: DiskDevice;
  /** The path of that file inside. */
  readonly file?: string;
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
          share: {
            tag,
            directory,
            readOnly,
            transport,
            ...(transport === 'virtiofs' ? { program: server.program } : {}),
          },
          // libvirt binds it into a container; the common init moves it to its target.
          guest:
            server.kind === 'lxc'
              ? { type: 'staged', tag, target, readOnly, keepsOwners: true }
              : { type: transport, tag, target, readOnly },
        };
      }
      case 'host-image':
        return imageDevice(mount, index, images, config, server.kind);
      case 'guest-bind':
        return { guest: { type: 'bind', source: mount.source, target } };
      case 'ram':
        return { guest: { type: 'ram', target, bytes: mount.usage } };
      default:
        return mount satisfies never;
    }
  });
}

/** Numbers the shares of each transport, so a machine's devices depend only on how many there are. */
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
  { identity, root }: SandboxConfig,
  kind: ShareServer['kind'],
): MountDevice {
  const contents = images.get(index);
  if (contents === undefined) throw new Error(`${target}: inspectImages() looks into every image`);
  const { filesystem, isBlock } = contents;
  const serial = imageSerial(index);
  // All sandboxes of an OCI image have one, and QEMU's user may read it.
  const isStored = root.type === 'image' && source === root.stored?.path;
  const guest = {
    type: 'image',
    serial,
    filesystem,
    options: optionsOf(filesystem, identity),
    target,
    readOnly: readOnly || READ_ONLY_FILESYSTEMS.has(filesystem),
  } as const;
  if (isStored && kind === 'lxc' && mountsFile(source)) {
    const { share, path } = fileInContainer(source);
    return { share, file: path, guest };
  }
  return {
    disk: { serial, source, format: driverOf(format), readOnly, isBlock, ...(isStored ? { keepsOwner: true } : {}) },
    guest,
  };
}

/** Data of mount(2). FAT has no owners: all files are the user's, and chmod does not fail. */
function optionsOf(filesystem: Filesystem, { uid, gid }: SandboxConfig['identity']): string {
  return filesystem === 'vfat' ? `uid=${uid},gid=${gid},umask=022,quiet` : '';
}

/** The index of the mount that replaces the root. */
export function rootMount(config: SandboxConfig): number | undefined {
  const index = config.mounts.findIndex(({ target }) => normalizePath(target) === '/');
  return index < 0 ? undefined : index;
}

/**
 * The directory of the host; a fresh one is in the state directory, where no other user can enter: one of the host may
 * have the number of the user inside.
 */
function mountSource({ source }: HostBindMount, index: number, stateDirectory: string): string {
  return source ?? join(closedDirectory(stateDirectory), `mount${index}`);
}

/** Creates the fresh directories. They are removed with the state directory, however the launcher ends. */
export function makeFreshDirectories({ mounts, identity }: SandboxConfig, devices: readonly MountDevice[]): void {
  for (const [index, mount] of mounts.entries()) {
    const { share } = devices[index] ?? {};
    if (share === undefined || mount.type !== 'host-bind' || mount.source !== undefined) continue;
    makeDirectories(dirname(share.directory), 0o700);
    mkdirSync(share.directory, { mode: 0o700 });
    if (process.getuid?.() === 0) chownSync(share.directory, identity.uid, identity.gid);
  }
}

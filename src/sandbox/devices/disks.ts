/** The disks and images of a sandbox. */
import type { GuestConfig, GuestDisk } from '../../../init/common/config.js';
import { driverOf } from '../../config/parsers/disk-image.js';
import { normalizePath } from '../../config/path.js';
import type { HostImageMount, SandboxConfig } from '../../config/types.js';
import type { ImageContents } from '../../disk-image/inspect.js';
import type { DiskDevice } from '../../domain/disks.js';
import { iotune } from '../../domain/tuning.js';
import type { Profile } from '../../profile/types.js';

/** The contents of each image that is mounted, by the index of its mount. */
export type Images = ReadonlyMap<number, ImageContents>;

/**
 * Inspects every image that is mounted and that a user has named.
 * @throws {SandboxError} `image-unreadable`, `image-tool-missing`, `image-no-filesystem`
 */
export async function inspectImages(config: SandboxConfig): Promise<Images> {
  const { mounts } = config;
  const found = new Map<number, ImageContents>();
  for (const [index, mount] of mounts.entries()) {
    if (!isImage(mount)) continue;
    if (isRootOfImage(config, mount)) {
      found.set(index, { filesystem: 'erofs', isBlock: false });
      continue;
    }
    const { inspectImage } = await import('../../disk-image/inspect.js');
    const image = { source: mount.source, format: driverOf(mount.format) };
    found.set(index, await inspectImage(image, `the image of the mount on ${mount.target}`));
  }
  return found;
}

/** Whether a mount is of the file system of an OCI image, which is one that the store has made. */
function isRootOfImage({ root }: SandboxConfig, { source, target }: HostImageMount): boolean {
  return root.type === 'image' && root.stored?.path === source && normalizePath(target) === '/';
}

/** A disk for the application: the device, and how the guest finds it. */
export interface AppDisk {
  readonly device: DiskDevice;
  readonly guest: GuestDisk;
}

export function appDisks({ disks, tuning }: SandboxConfig): AppDisk[] {
  return disks.map(({ type, tag, source, format, readOnly }, index): AppDisk => {
    const serial = `disk${index}`;
    return {
      device: {
        serial,
        source,
        isBlock: type === 'block',
        format: driverOf(format),
        readOnly,
        iotune: iotune(tuning, tag),
      },
      guest: { tag, serial },
    };
  });
}

/**
 * Where a machine finds its only disk. Several are found by their serial numbers, which costs two round trips: their
 * names are in the order in which the kernel comes across them. Undefined also where a profile may have given QEMU more,
 * and for a disk that is written to: what keeps an overlay is covered with all partitions that are found on it.
 */
export function onlyDevice(
  disks: readonly DiskDevice[],
  { qemuArguments = [] }: Pick<Profile, 'qemuArguments'>,
): GuestConfig['devices'] {
  const [disk, ...others] = disks;
  if (disk === undefined || !disk.readOnly || others.length > 0 || qemuArguments.length > 0) return undefined;
  return { [disk.serial]: '/dev/vda' };
}

/** The serial number of a mounted image, by the index of its mount. */
export function imageSerial(index: number): string {
  return `mount${index}`;
}

function isImage(mount: SandboxConfig['mounts'][number]): mount is HostImageMount {
  return mount.type === 'host-image';
}

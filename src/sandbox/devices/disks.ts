/** The disks and images of a sandbox. */
import type { GuestDisk } from '../../../init/common/config.js';
import { driverOf } from '../../config/parsers/disk-image.js';
import type { HostImageMount, SandboxConfig } from '../../config/types.js';
import type { ImageContents } from '../../disk-image/inspect.js';
import type { DiskDevice } from '../../domain/disks.js';
import { iotune } from '../../domain/tuning.js';

/** The contents of each image that is mounted, by the index of its mount. */
export type Images = ReadonlyMap<number, ImageContents>;

/**
 * Inspects every image that is mounted.
 * @throws {SandboxError} `image-unreadable`, `image-tool-missing`, `image-no-filesystem`
 */
export async function inspectImages({ mounts }: SandboxConfig): Promise<Images> {
  const found = new Map<number, ImageContents>();
  if (!mounts.some(isImage)) return found;
  const { inspectImage } = await import('../../disk-image/inspect.js');
  for (const [index, mount] of mounts.entries()) {
    if (!isImage(mount)) continue;
    const image = { source: mount.source, format: driverOf(mount.format) };
    found.set(index, await inspectImage(image, `the image of the mount on ${mount.target}`));
  }
  return found;
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

/** The serial number of a mounted image, by the index of its mount. */
export function imageSerial(index: number): string {
  return `mount${index}`;
}

function isImage(mount: SandboxConfig['mounts'][number]): mount is HostImageMount {
  return mount.type === 'host-image';
}

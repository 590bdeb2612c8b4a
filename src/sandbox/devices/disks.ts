/** The disks and disk images of a sandbox. */
import { driverOf } from '../../config/parsers/disk-image.js';
import type { HostImageMount, SandboxConfig } from '../../config/types.js';
import type { ImageContents } from '../../disk-image/inspect.js';
import type { DiskDevice } from '../../domain/disks.js';
import { iotune } from '../../domain/tuning.js';

/** What each image that is to be mounted holds, by the number of its mount. */
export type Images = ReadonlyMap<number, ImageContents>;

/**
 * Looks into every image that is to be mounted.
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

/** Disks first, then images to be mounted. */
export function disksOf({ disks, mounts, tuning }: SandboxConfig, images: Images): DiskDevice[] {
  const plain = disks.map(
    ({ type, tag, source, format, readOnly }, index): DiskDevice => ({
      serial: diskSerial(index),
      source,
      isBlock: type === 'block',
      format: driverOf(format),
      readOnly,
      iotune: iotune(tuning, tag),
    }),
  );
  const mounted = mounts.flatMap((mount, index): DiskDevice[] => {
    if (!isImage(mount)) return [];
    const { source, format, readOnly } = mount;
    const isBlock = images.get(index)?.isBlock ?? false;
    return [{ serial: imageSerial(index), source, format: driverOf(format), readOnly, isBlock }];
  });
  return [...plain, ...mounted];
}

export function diskSerial(index: number): string {
  return `disk${index}`;
}

export function imageSerial(index: number): string {
  return `mount${index}`;
}

function isImage(mount: SandboxConfig['mounts'][number]): mount is HostImageMount {
  return mount.type === 'host-image';
}

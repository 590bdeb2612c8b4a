/**
 * Recognizes the file system of an image by magic numbers. Nothing else of the image is parsed on the host, since it is
 * not trusted. The guest's kernel checks the rest.
 */

/**
 * File systems that a sandbox can mount, by their names for mount(2). Each has a module set:
 * kmods/filesystem-NAME.json.
 */
export type Filesystem = 'ext4' | 'xfs' | 'btrfs' | 'vfat' | 'squashfs' | 'erofs' | 'iso9660';

/** File systems that the kernel mounts read-only only. */
export const READ_ONLY_FILESYSTEMS: ReadonlySet<Filesystem> = new Set(['squashfs', 'erofs', 'iso9660']);

interface Magic<T> {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly means: T;
}

function magic<T>(at: number, bytes: string | readonly number[], means: T): Magic<T> {
  return { at, bytes: typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Uint8Array.from(bytes), means };
}

/** Sources: include/uapi/linux/magic.h, and the on-disk headers of each file system in the kernel's sources. */
const FILESYSTEMS: readonly Magic<Filesystem>[] = [
  // Also ext2 and ext3, which the ext4 driver mounts.
  magic(0x438, [0x53, 0xef], 'ext4'),
  magic(0, 'XFSB', 'xfs'),
  magic(0x1_0040, '_BHRfS_M', 'btrfs'),
  magic(0, 'hsqs', 'squashfs'),
  magic(0x400, [0xe2, 0xe1, 0xf5, 0xe0], 'erofs'),
  magic(0x8001, 'CD001', 'iso9660'),
  magic(0x36, 'FAT12   ', 'vfat'),
  magic(0x36, 'FAT16   ', 'vfat'),
  magic(0x52, 'FAT32   ', 'vfat'),
];

/** Other contents, by what the message calls them. */
const OTHERS: readonly Magic<string>[] = [
  magic(3, 'EXFAT   ', 'exFAT, which is not supported'),
  magic(3, 'NTFS    ', 'NTFS, which is not supported'),
  magic(0x400, [0x10, 0x20, 0xf5, 0xf2], 'F2FS, which is not supported'),
  magic(0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe], 'an encrypted LUKS volume'),
  magic(0xff6, 'SWAPSPACE2', 'swap space'),
  magic(0x218, 'LVM2 001', 'an LVM volume'),
  magic(0x200, 'EFI PART', 'a table of partitions'),
  magic(0x1fe, [0x55, 0xaa], 'a table of partitions'),
  magic(0, [0x51, 0x46, 0x49, 0xfb], 'another image, in QCOW format'),
];

/** Positions and sizes of the bytes to read. An image may be shorter. */
export const REGIONS: readonly { readonly at: number; readonly size: number }[] = [
  { at: 0, size: 4096 },
  { at: 0x8000, size: 4096 },
  { at: 0x1_0000, size: 4096 },
];

/** Bytes of an image, by position. */
export type Regions = ReadonlyMap<number, Uint8Array>;

/** The file system of an image; undefined if none is recognized. */
export function filesystemOf(regions: Regions): Filesystem | undefined {
  return FILESYSTEMS.find((entry) => matches(regions, entry))?.means;
}

/** What an image without a known file system holds, for the sentence "it holds …". */
export function contentOf(regions: Regions): string {
  const other = OTHERS.find((entry) => matches(regions, entry));
  if (other) return other.means;
  const empty = [...regions.values()].every((bytes) => bytes.every((byte) => byte === 0));
  return empty ? 'nothing yet' : 'something that is not known here';
}

function matches(regions: Regions, { at, bytes }: Magic<unknown>): boolean {
  for (const [start, region] of regions) {
    const from = at - start;
    if (from < 0 || from + bytes.length > region.length) continue;
    return bytes.every((byte, index) => region[from + index] === byte);
  }
  return false;
}

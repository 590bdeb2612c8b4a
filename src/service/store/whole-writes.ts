/**
 * How a loop device writes to its file. The kernel's driver takes a request that the file got a part of for a whole one: on
 * a full disk the blocks behind it are lost, and nobody hears of it, neither ext4's journal nor fsync(2). So no request is
 * such that a part of it can be written.
 */
import { type FileHandle, readFile, statfs, writeFile } from 'node:fs/promises';
import { isSystemError } from '../../util/errors.js';
import { ioctl } from './ioctl.js';

/** Of <linux/loop.h> and <linux/fs.h>. */
const SET_DIRECT_IO = 0x4c08;
const GET_FLAGS = 0x80086601;
const HAS_EXTENTS = 0x80000;

/** Of statfs(2). */
const EXT4 = 0xef53;
const XFS = 0x58465342;

/** Of statx(2), and where `struct statx` has it: Linux 6.1. */
const EMPTY_PATH = 0x1000;
const DIRECT_ALIGNMENT = 0x2000;
const STATX = { size: 256, mask: 0, alignment: 156 } as const;

/** The most of a request that the kernel has for all devices, in KiB. */
const USUAL_KIB = 1280;

/**
 * Direct I/O where it is written as a whole or not at all; it takes no second copy in memory, too. Elsewhere each request is
 * one page. That is slower, and the device keeps it for its next file.
 * @param name of the device, whose file is `held`
 * @throws the error of a system call
 */
export async function writeWhole(device: FileHandle, name: string, held: FileHandle): Promise<void> {
  const at = (attribute: string) => `/sys/block/${name}/${attribute}`;
  const get = async (attribute: string) => Number(await readFile(at(attribute), 'latin1'));
  const most = 'queue/max_sectors_kb';
  const page = (await libc()).func('int getpagesize()')() / 1024;
  const isDirect = (await isDirectWhole(held)) && (await setDirect(device)) && (await get('loop/dio')) === 1;
  if (!isDirect) await writeFile(at(most), String(page));
  else if ((await get(most)) === page)
    await writeFile(at(most), String(Math.min(USUAL_KIB, await get('queue/max_hw_sectors_kb'))));
}

/**
 * Whether a direct write fails where there is no room for a part of it. So it is on ext4 and XFS. Where ext4 has no direct
 * I/O for a file, as with data=journal, or fills holes without extents, it writes through the page cache all the same. tmpfs
 * says how much it has written. Btrfs has checksums, which are wrong when a page changes while it is written.
 */
async function isDirectWhole(held: FileHandle): Promise<boolean> {
  const { type } = await statfs(`/proc/self/fd/${held.fd}`);
  if (type !== EXT4 && type !== XFS) return false;
  if (!(await hasDirect(held.fd))) return false;
  return type === XFS || (await hasExtents(held.fd));
}

async function hasDirect(fd: number): Promise<boolean> {
  const statx = (await libc()).func(
    'int statx(int directory, const char *path, int flags, unsigned int mask, _Out_ uint8_t *found)',
  );
  const found = Buffer.alloc(STATX.size);
  if (statx(fd, '', EMPTY_PATH, DIRECT_ALIGNMENT, found) !== 0) return false;
  return (found.readUInt32LE(STATX.mask) & DIRECT_ALIGNMENT) !== 0 && found.readUInt32LE(STATX.alignment) > 0;
}

async function hasExtents(fd: number): Promise<boolean> {
  const flags = Buffer.alloc(8);
  try {
    await ioctl(fd, GET_FLAGS, flags);
  } catch (error) {
    // An architecture may have another number for it.
    if (isSystemError(error)) return false;
    throw error;
  }
  return (flags.readUInt32LE() & HAS_EXTENTS) !== 0;
}

/** @returns false: there is none, as with sectors of the disk that are larger than those of the device */
async function setDirect({ fd }: FileHandle): Promise<boolean> {
  try {
    await ioctl(fd, SET_DIRECT_IO, 1);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return false;
    throw error;
  }
}

async function libc() {
  const { default: koffi } = await import('koffi');
  return koffi.load('libc.so.6');
}

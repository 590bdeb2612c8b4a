/**
 * The loop device of a bound. mount(8) makes none that writes as ./whole-writes.ts has it, which it has to do before the
 * first write: a mount may replay a journal.
 */
import { constants, existsSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { isSystemError } from '../../util/errors.js';
import { ioctl } from './ioctl.js';
import { writeWhole } from './whole-writes.js';

/** Of <linux/loop.h>, as the layouts below. */
const CONFIGURE = 0x4c0a;
const GET_STATUS = 0x4c05;
const GET_FREE = 0x4c82;
const READ_ONLY = 1;
const AUTOCLEAR = 4;

/** Bytes, and where `struct loop_config` has what is set here; `struct loop_info64` is in it. */
const CONFIG = { size: 304, file: 0, blockSize: 4, info: 8 } as const;
const INFO = { size: 232, device: 0, inode: 8, offset: 24, limit: 32, flags: 52, name: 56 } as const;
const NAME_BYTES = 64;

/** As ext4 has here. A disk whose sectors are as large takes no direct I/O in smaller ones. */
const BLOCK = 4096;

/** Others may take the device that was free. */
const ATTEMPTS = 64;

/** Open: it stays, also when nothing of it is mounted. */
export interface LoopDevice {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * The loop device of a file: the one that it has, if it has one, since of two each would write over the other. A new one is
 * gone when it is closed and unmounted, or its process has ended. Who calls has the exclusive lock of the file.
 * @throws the error of a system call
 * @throws {Error} the device that it has is read-only, or has a part of it
 */
export async function openLoop(file: string): Promise<LoopDevice> {
  const held = await open(file, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { name, device } = (await findLoop(held)) ?? (await makeLoop(held, file));
    try {
      await writeWhole(device, name, held);
    } catch (error) {
      await device.close();
      throw error;
    }
    return { path: `/dev/${name}`, close: () => device.close() };
  } finally {
    await held.close();
  }
}

interface Found {
  readonly name: string;
  /** Open for reading: some kernels mount nothing that is open for writing. */
  readonly device: FileHandle;
}

async function findLoop(held: FileHandle): Promise<Found | undefined> {
  const { dev, ino, size } = await held.stat({ bigint: true });
  for (const name of await readdir('/sys/block')) {
    if (!/^loop\d+$/.test(name) || !existsSync(`/sys/block/${name}/loop`)) continue;
    const device = await openDevice(name, constants.O_RDONLY);
    if (device === undefined) continue;
    const status = Buffer.alloc(INFO.size);
    const isKnown = await ioctl(device.fd, GET_STATUS, status).then(
      () => true,
      // It has no file any more, or one whose file system does not answer.
      () => false,
    );
    if (isKnown && status.readBigUInt64LE(INFO.inode) === ino && status.readBigUInt64LE(INFO.device) === dev) {
      if (isWhole(status, size)) return { name, device };
      await device.close();
      throw new Error(`it has the loop device /dev/${name}, which is read-only, or of a part of it`);
    }
    await device.close();
  }
  return undefined;
}

function isWhole(status: Buffer, size: bigint): boolean {
  const limit = status.readBigUInt64LE(INFO.limit);
  const isAll = limit === 0n || limit >= size - (size % BigInt(BLOCK));
  return isAll && status.readBigUInt64LE(INFO.offset) === 0n && (status.readUInt32LE(INFO.flags) & READ_ONLY) === 0;
}

async function makeLoop(held: FileHandle, file: string): Promise<Found> {
  const config = Buffer.alloc(CONFIG.size);
  const { size } = await held.stat();
  config.writeUInt32LE(held.fd, CONFIG.file);
  config.writeUInt32LE(BLOCK, CONFIG.blockSize);
  config.writeBigUInt64LE(BigInt(size - (size % BLOCK)), CONFIG.info + INFO.limit);
  config.writeUInt32LE(AUTOCLEAR, CONFIG.info + INFO.flags);
  // losetup(8) shows the path that the kernel has; this one is for older programs, and ends with a zero.
  config.write(file, CONFIG.info + INFO.name, NAME_BYTES - 1);
  const free = await open('/dev/loop-control', constants.O_RDWR);
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const name = `loop${await ioctl(free.fd, GET_FREE, 0)}`;
      const device = await configured(name, config);
      if (device !== undefined) return { name, device };
    }
    throw new Error('other processes take each loop device that is free');
  } finally {
    await free.close();
  }
}

/** Undefined: somebody else has it, or it was removed. */
async function configured(name: string, config: Buffer): Promise<FileHandle | undefined> {
  const device = await openDevice(name, constants.O_RDWR);
  if (device === undefined) return undefined;
  try {
    await ioctl(device.fd, CONFIGURE, config);
    return await openDevice(name, constants.O_RDONLY);
  } catch (error) {
    if (isSystemError(error, 'EBUSY')) return undefined;
    throw error;
  } finally {
    await device.close();
  }
}

/** Undefined: it was removed. */
async function openDevice(name: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(`/dev/${name}`, flags);
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENXIO')) return undefined;
    throw error;
  }
}

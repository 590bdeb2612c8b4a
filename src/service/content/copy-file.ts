/** Copies one file, which others may change meanwhile. */
import { type BigIntStats, constants, fstatSync, rmSync } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import { endOfData, nextData } from '../../image/snapshot/extents.js';
import { isSystemError } from '../../util/errors.js';
import { writeAll } from '../../util/write-all.js';
import type { AccessList, ReadAccessList } from './access-list.js';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, COPYFILE_EXCL, COPYFILE_FICLONE } = constants;
const ATTEMPTS = 3;
const CHUNK = 2 ** 20;
/** Bytes in one block of st_blocks. */
const BLOCK = 512n;

/** What was copied. */
export interface CopiedFile {
  readonly found: BigIntStats;
  readonly list: AccessList | undefined;
  /** It did not stay as it was for as long as the copy took. */
  readonly isUnsettled: boolean;
}

/**
 * Copies a file to a path where nothing is. Where both are on one file system that can, they share their blocks.
 * @returns undefined: it is gone, or no file any more
 * @throws the error of a system call
 */
export async function copyContent(
  from: Buffer,
  to: Buffer,
  { check, listOf }: { readonly check: () => void; readonly listOf: ReadAccessList },
): Promise<CopiedFile | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    check();
    const file = await openIfThere(from);
    if (file === undefined) return undefined;
    try {
      const before = fstatSync(file.fd, { bigint: true });
      if (!before.isFile()) return undefined;
      if (before.blocks * BLOCK < before.size) await copyData(file, to, check);
      else await copyFile(`/proc/self/fd/${file.fd}`, to, COPYFILE_EXCL | COPYFILE_FICLONE);
      const found = fstatSync(file.fd, { bigint: true });
      const isUnsettled = found.size !== before.size || found.mtimeNs !== before.mtimeNs;
      if (!isUnsettled || attempt === ATTEMPTS) return { found, list: listOf(file.fd), isUnsettled };
      rmSync(to);
    } finally {
      await file.close();
    }
  }
}

/** Undefined: it is gone, or a link by now. */
async function openIfThere(path: Buffer): Promise<FileHandle | undefined> {
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENXIO'].some((code) => isSystemError(error, code))) return undefined;
    throw error;
  }
}

/** A file with holes may seem to be larger than any disk. */
async function copyData(file: FileHandle, to: Buffer, check: () => void): Promise<void> {
  const { size } = fstatSync(file.fd);
  const target = await open(to, 'wx', 0o600);
  try {
    await target.truncate(size);
    const buffer = Buffer.alloc(CHUNK);
    for (let at = nextData(file.fd, 0); at !== undefined && at < size; at = nextData(file.fd, at)) {
      const end = endOfData(file.fd, at, size);
      while (at < end) {
        check();
        const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK, end - at), at);
        // It is shorter by now.
        if (bytesRead === 0) return;
        await writeAll(target, buffer.subarray(0, bytesRead), at);
        at += bytesRead;
      }
    }
  } finally {
    await target.close();
  }
}

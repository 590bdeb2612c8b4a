/**
 * Finds the data in a sparse file with lseek(2) and SEEK_DATA, which Node lacks. Reading a hole costs as much as
 * reading data.
 */
import koffi from 'koffi';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

type Seek = (fd: number, offset: number, whence: number) => number;

let seek: Seek | undefined;

/**
 * The first offset at or after `position` where the file has data.
 * @param fd Descriptor of an open file.
 * @param position Offset in bytes, at most 2^53 - 1.
 * @returns `position` itself if the file system cannot tell holes from data, or fails to; undefined if only a hole
 *   follows
 */
export function nextData(fd: number, position: number): number | undefined {
  const found = seekIn()(fd, position, SEEK_DATA);
  if (found >= position) return found;
  return koffi.errno() === koffi.os.errno['ENXIO'] ? undefined : position;
}

/**
 * The offset where the data at `position` ends.
 * @returns at most `limit`, and `limit` itself if the file system cannot tell
 */
export function endOfData(fd: number, position: number, limit: number): number {
  const found = seekIn()(fd, position, SEEK_HOLE);
  return found > position ? Math.min(found, limit) : limit;
}

function seekIn(): Seek {
  // `null` means the symbols of this process, and so the C library that Node runs with.
  seek ??= koffi.load(null).func('int64_t lseek64(int fd, int64_t offset, int whence)') as unknown as Seek;
  return seek;
}

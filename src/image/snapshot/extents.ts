/** Where a file has data: lseek(2) with SEEK_DATA, which Node does not offer. Reading a hole costs as much as reading data. */
import koffi from 'koffi';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

type Seek = (fd: number, offset: number, whence: number) => number;

let seek: Seek | undefined;

/**
 * The first place at or behind `position` where the file has data.
 * @param fd an open file
 * @param position in bytes, at most 2^53 - 1
 * @returns `position` itself where the file system does not tell holes from data, or fails to; undefined when only a hole follows
 */
export function nextData(fd: number, position: number): number | undefined {
  const found = seekIn()(fd, position, SEEK_DATA);
  if (found >= position) return found;
  return koffi.errno() === koffi.os.errno['ENXIO'] ? undefined : position;
}

/**
 * Where the data at `position` ends.
 * @returns `limit` where that is behind it, or where the file system does not tell
 */
export function endOfData(fd: number, position: number, limit: number): number {
  const found = seekIn()(fd, position, SEEK_HOLE);
  return found > position ? Math.min(found, limit) : limit;
}

function seekIn(): Seek {
  // All of it is in the C library that Node itself runs with.
  seek ??= koffi.load(null).func('int64_t lseek64(int fd, int64_t offset, int whence)') as unknown as Seek;
  return seek;
}

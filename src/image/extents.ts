/** Where a file has data: lseek(2) with SEEK_DATA, which Node does not offer. Reading a hole costs as much as reading data. */
import koffi from 'koffi';

const SEEK_DATA = 3;

type Seek = (fd: number, offset: number, whence: number) => number;

let seek: Seek | undefined;

/**
 * The first place at or behind `position` where the file has data.
 * @param fd an open file
 * @param position in bytes, at most 2^53 - 1
 * @returns `position` itself where the file system does not tell holes from data, or fails to; undefined when only a hole follows
 */
export function nextData(fd: number, position: number): number | undefined {
  // All of it is in the C library that Node itself runs with.
  seek ??= koffi.load(null).func('int64_t lseek64(int fd, int64_t offset, int whence)') as unknown as Seek;
  const found = seek(fd, position, SEEK_DATA);
  if (found >= position) return found;
  return koffi.errno() === koffi.os.errno['ENXIO'] ? undefined : position;
}

/** The size of the host's huge pages: hugetlbpage.rst of the kernel's documentation. */
import { readIfThere } from '../../util/small-files.js';

/**
 * The size in bytes that `--huge-pages` asks for. libvirt is told a number always: without one it wants a mount of
 * hugetlbfs.
 * @returns undefined if none is asked for, or the kernel has no size of its own
 */
export function hugePageSize(wanted: number | 'default' | undefined): number | undefined {
  if (wanted !== 'default') return wanted;
  const kibibytes = /^Hugepagesize:\s+(\d+) kB$/m.exec(readIfThere('/proc/meminfo') ?? '')?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

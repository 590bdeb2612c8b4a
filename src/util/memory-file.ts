/** A file in memory that has no path: memfd_create(2). Node.js has none. */

/** From <linux/memfd.h>. */
const MFD_CLOEXEC = 1;

/**
 * @param name for who looks into /proc
 * @returns a descriptor to read and write by; the caller closes it
 * @throws {Error} if there are no descriptors left
 */
export async function openMemoryFile(name: string): Promise<number> {
  const { default: koffi } = await import('koffi');
  const create = koffi.load('libc.so.6').func('int memfd_create(const char *name, unsigned int flags)');
  const fd: number = create(name, MFD_CLOEXEC);
  if (fd < 0) throw new Error(`no file can be made in memory: errno ${koffi.errno()}`);
  return fd;
}

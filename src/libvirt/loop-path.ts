/**
 * How long the path of an image may be of which libvirt makes a loop device, for a container. libvirt tells the kernel
 * the path, and struct loop_info64 has 64 bytes for it: with a longer one the container does not start ("Unable to set
 * backing file").
 */

/** Bytes, with a NUL: LO_NAME_SIZE of <linux/loop.h>. */
const ROOM = 64;

export function fitsLoop(path: string): boolean {
  return Buffer.byteLength(path) < ROOM;
}

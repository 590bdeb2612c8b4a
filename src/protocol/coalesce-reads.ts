/** A moment's wait in the middle of a large packet, so that it is taken in few pieces. */

/** What Node reads from a socket at most at once. A read that was full has found more than it could take. */
const FULL_READ_BYTES = 65536;
/** What QEMU sends at once: a page of the guest. */
const PAGE_BYTES = 4096;
/** In milliseconds. With the kernel's timer slack it comes to some 0.1 ms; longer, and the socket fills and stops QEMU. */
const MOMENT = 0.05;

const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Whether a read was a small piece of a packet of which at least a page is still to come.
 *
 * @param taken bytes of the last read
 * @param missing bytes of the current packet that were not read yet
 */
export function isSmallPiece(taken: number, missing: number): boolean {
  return taken < FULL_READ_BYTES && missing >= PAGE_BYTES;
}

/**
 * QEMU sends a packet page by page. Waking for each costs this process and QEMU more than the bytes themselves, on processors that the guest wants.
 * So where pages are sure to follow, because the packet has said so, some are let come first. Nothing waits behind a packet that is whole.
 */
export function coalesceReads(): void {
  Atomics.wait(nothing, 0, 0, MOMENT);
}

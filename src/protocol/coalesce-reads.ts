/** Waits a moment in the middle of a large packet, so that it is read in few pieces. */

/** Most bytes that Node.js reads from a socket at once. After a full read more is waiting already. */
const FULL_READ_BYTES = 65536;
/** QEMU sends one page of the guest at a time. */
const PAGE_BYTES = 4096;
/**
 * In milliseconds. The kernel's timer slack makes it about 0.1 ms. After a longer wait the socket would be full and
 * stop QEMU.
 */
const WAIT_MS = 0.05;

const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * True if a read was not full and at least a page of the current packet is still to come.
 *
 * @param taken Bytes of the last read.
 * @param missing Bytes of the current packet that were not read yet.
 */
export function isSmallPiece(taken: number, missing: number): boolean {
  return taken < FULL_READ_BYTES && missing >= PAGE_BYTES;
}

/**
 * Blocks for a moment, so that several pages arrive before the next read. QEMU sends a packet page by page. Waking up
 * for each page costs this process and QEMU more than the bytes themselves, on CPUs that the guest needs. Call this
 * only if the packet's length says that more pages follow: a complete packet must not wait.
 */
export function coalesceReads(): void {
  Atomics.wait(nothing, 0, 0, WAIT_MS);
}

/** Two sockets that are connected with each other, and have no path: socketpair(2). Node.js has none. */

/** From <sys/socket.h>. */
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

const DESCRIPTOR_BYTES = 4;

/**
 * @returns their descriptors; the caller closes both
 * @throws {Error} if there are no descriptors left
 */
export async function socketPair(): Promise<readonly [number, number]> {
  const { default: koffi } = await import('koffi');
  const make = koffi.load('libc.so.6').func('int socketpair(int domain, int type, int protocol, _Out_ uint8_t *pair)');
  const pair = Buffer.alloc(2 * DESCRIPTOR_BYTES);
  if (make(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0)
    throw new Error(`no sockets can be made: errno ${koffi.errno()}`);
  return [pair.readInt32LE(0), pair.readInt32LE(DESCRIPTOR_BYTES)];
}

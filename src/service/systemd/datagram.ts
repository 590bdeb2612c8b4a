/** Sends datagrams to Unix sockets, for which Node.js has nothing: socket(2), sendto(2). */
import { constants, endianness } from 'node:os';

/** From <sys/socket.h>. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const FAMILY_BYTES = 2;
/** sizeof sun_path in <sys/un.h>. */
const PATH_BYTES = 108;

/** Sends one datagram. @returns 0, or the errno of the call that failed */
export type Send = (data: Buffer) => number;

/**
 * @param address a path, or `@` and an abstract name
 * @throws {Error} it can be no address of a Unix socket; its message is a part of a sentence
 */
export async function datagramSender(address: string): Promise<Send> {
  const name = socketAddress(address);
  const { default: koffi } = await import('koffi');
  const library = koffi.load('libc.so.6');
  const socket = library.func('int socket(int domain, int type, int protocol)');
  const sendto = library.func(
    'long sendto(int fd, const void *data, size_t size, int flags, const void *address, uint32_t length)',
  );
  const close = library.func('int close(int fd)');
  return (data) => {
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return koffi.errno();
    const sent = () => {
      const result: number = sendto(fd, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL, name, name.length);
      return result < 0 ? koffi.errno() : result === data.length ? 0 : constants.errno.EMSGSIZE;
    };
    let failure = sent();
    while (failure === constants.errno.EINTR) failure = sent();
    return close(fd) === 0 || failure !== 0 ? failure : koffi.errno();
  };
}

/** A `struct sockaddr_un`. */
function socketAddress(address: string): Buffer {
  const abstract = address.startsWith('@');
  if (!abstract && !address.startsWith('/')) throw new Error('is neither a path nor an abstract name');
  const name = Buffer.from(abstract ? `\0${address.slice(1)}` : `${address}\0`);
  // The zero behind a path may be missing, as the kernel knows the length.
  const path = name.length === PATH_BYTES + 1 && !abstract ? name.subarray(0, PATH_BYTES) : name;
  if (path.length > PATH_BYTES || name.length < 3) throw new Error(`has no length from 2 to ${PATH_BYTES} bytes`);
  const family = Buffer.alloc(FAMILY_BYTES);
  if (endianness() === 'LE') family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, path]);
}

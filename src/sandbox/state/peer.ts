/** Who is at the other end of a Unix socket: SO_PEERCRED of unix(7). */
import type { Socket } from 'node:net';

/** From <sys/socket.h>. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** pid, uid and gid, 32 bits each. */
const CREDENTIALS_BYTES = 12;
const UID_OFFSET = 4;

/**
 * Whether this user, or root, is at the other end of a connection. Modes of a socket may be changed, and a descriptor may
 * be passed on.
 */
export async function isOfOwner(socket: Socket): Promise<boolean> {
  const peer = await peerOf(socket).catch(() => undefined);
  return !socket.destroyed && (peer === 0 || (peer !== undefined && peer === process.geteuid?.()));
}

/** UID of the process that listens at the other end of a connected socket. */
export async function peerOf(socket: Socket): Promise<number> {
  const { default: koffi } = await import('koffi');
  const getsockopt = koffi
    .load('libc.so.6')
    .func('int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *size)');
  // Node.js has no public way to a socket's descriptor.
  const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const credentials = Buffer.alloc(CREDENTIALS_BYTES);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, [CREDENTIALS_BYTES]) !== 0)
    throw new Error(`the owner of a socket is not known: errno ${koffi.errno()}`);
  return credentials.readUInt32LE(UID_OFFSET);
}

/** Connects to a socket of a running sandbox. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { peerOf } from './peer.js';

/**
 * Connects to a socket. Of another user's sandbox it must be a socket and no link, and that user, or whom it belongs
 * to, must listen there: a user could put a link to a service here that trusts root.
 */
export async function connectTo(path: string, uid: number | undefined): Promise<Socket> {
  if (uid === undefined) return connected(path);
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const found = fstatSync(fd);
    if (!found.isSocket()) throw new Error('there is no socket');
    const socket = await connected(`/proc/self/fd/${fd}`);
    const peer = await peerOf(socket);
    if (peer !== 0 && (peer === uid || peer === found.uid)) return socket;
    socket.destroy();
    throw new Error(`user ${peer} listens there`);
  } finally {
    closeSync(fd);
  }
}

/** Opens a file only as a place: from <fcntl.h>, where Node.js has no name for it. */
const O_PATH = 0o10000000;

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', resolve);
  });
  return socket;
}

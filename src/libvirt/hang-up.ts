/**
 * Ends a call to a daemon that does not answer. libvirt waits for the answer without a limit, on a thread that Node.js
 * waits for before it exits. Shutting down the call's socket ends the wait.
 */
import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import { valueOr } from '../util/errors.js';

/** sockaddr_un of unix(7): the family, then the path. */
const ADDRESS_BYTES = 110;
const PATH_AT = 2;

/** Argument of shutdown(2): neither send nor receive any more. */
const SHUT_RDWR = 2;

/** Socket paths of libvirtd, and of the daemons with one driver each. */
const DAEMON_SOCKET = /\/libvirt\/\w+-sock(?:-ro)?$/;

/** Descriptors of this process that are connected to a daemon of libvirt. */
export function daemonSockets(): Set<number> {
  const peerOf = koffi.load(null).func('getpeername', 'int', ['int', 'void *', 'void *']);
  const descriptors = valueOr(() => readdirSync('/proc/self/fd'), []).map(Number);
  return new Set(
    descriptors.filter((descriptor) => {
      const address = Buffer.alloc(ADDRESS_BYTES);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(ADDRESS_BYTES);
      if (peerOf(descriptor, address, length) !== 0) return false;
      const path = address.toString('latin1', PATH_AT, Math.min(length.readUInt32LE(), ADDRESS_BYTES));
      return DAEMON_SOCKET.test(path.split('\0', 1)[0] ?? '');
    }),
  );
}

/** Shuts down every connection to a daemon except for `others`. */
export function hangUp(others: ReadonlySet<number>): void {
  const shutDown = koffi.load(null).func('shutdown', 'int', ['int', 'int']);
  // Errors are ignored: a connection that is gone needs nothing.
  for (const descriptor of daemonSockets()) if (!others.has(descriptor)) shutDown(descriptor, SHUT_RDWR);
}

/**
 * Ending a call to a daemon that does not answer. libvirt waits for the answer without limit, and what waits is a thread that Node waits for
 * before it exits. It ends when the call's socket does.
 */
import { readdirSync } from 'node:fs';
import koffi from 'koffi';
import { valueOr } from '../util/errors.js';

/** sockaddr_un, see unix(7): its family, and a path behind that. */
const ADDRESS_BYTES = 110;
const PATH_AT = 2;

/** For shutdown(2): nothing is to be sent or received any more. */
const SHUT_RDWR = 2;

/** Of libvirtd, and of the daemons that have one driver each. */
const DAEMON_SOCKET = /\/libvirt\/\w+-sock(?:-ro)?$/;

/** Descriptors of this process that lead to a daemon of libvirt. */
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

/** Ends every connection to a daemon but those `others`. */
export function hangUp(others: ReadonlySet<number>): void {
  const shutDown = koffi.load(null).func('shutdown', 'int', ['int', 'int']);
  // One that is gone by now needs nothing.
  for (const descriptor of daemonSockets()) if (!others.has(descriptor)) shutDown(descriptor, SHUT_RDWR);
}

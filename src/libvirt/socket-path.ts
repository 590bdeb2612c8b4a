/** Unix sockets have short paths. */
import { join } from 'node:path';
import { SandboxError } from '../util/errors.js';

/** Longest path of a Unix socket, less its terminator: sun_path in unix(7). */
const MAX_SOCKET_PATH = 107;

/** Where in a state directory the embedded driver has its own. */
export const EMBEDDED_ROOT = 'libvirt';

/** The deepest socket in a state directory that libvirt makes without a daemon; of the name it takes 20 characters. */
export function embeddedSocket(name: string): string {
  return join(EMBEDDED_ROOT, 'lib/qemu', `domain-1-${[...name].slice(0, 20).join('')}`, 'monitor.sock');
}

export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH;
}

/**
 * Checks that the deepest socket of a sandbox has room below the shortest directory there is.
 * @throws {SandboxError} `name-too-long`
 */
export function checkSocketPath(directory: string, socket: string, name: string): void {
  const path = join(directory, socket);
  if (fitsSocket(path)) return;
  throw new SandboxError({
    stage: 'config',
    code: 'name-too-long',
    message: `the name ${JSON.stringify(name)} is too long for the socket ${path} that libvirt makes without a daemon`,
    remedy: `take ${Buffer.byteLength(path) - MAX_SOCKET_PATH} bytes from its first 20 characters, or spell it in ASCII`,
  });
}

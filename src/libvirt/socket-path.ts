/** Checks that paths of Unix sockets are short enough. */
import { join } from 'node:path';
import { SandboxError } from '../util/errors.js';

/** Longest path of a Unix socket in bytes, without the terminator: sun_path in unix(7). */
const MAX_SOCKET_PATH = 107;

/** The embedded driver's directory, in a state directory. */
export const EMBEDDED_ROOT = 'libvirt';

/**
 * The longest path of a socket that the embedded driver makes in a state directory. It uses 20 characters of the name.
 */
export function embeddedSocket(name: string): string {
  return join(EMBEDDED_ROOT, 'lib/qemu', `domain-1-${[...name].slice(0, 20).join('')}`, 'monitor.sock');
}

/** True if a socket may have this path. */
export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH;
}

/**
 * Checks that the sandbox's longest socket path fits.
 *
 * @param directory The shortest directory that it can be in.
 * @param socket Path below that directory: {@link embeddedSocket}.
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

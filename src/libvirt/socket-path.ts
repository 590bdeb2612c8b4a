/** Unix sockets have short paths. */
import { SandboxError } from '../errors.js';

/** Longest path of a Unix socket, less its terminator: sun_path in unix(7). */
const MAX_SOCKET_PATH = 107;

/**
 * @param directory the state directory that the socket is in, for the message
 * @throws {SandboxError} `state-path-too-long`
 */
export function checkSocketPath(socket: string, directory: string): void {
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH) return;
  throw new SandboxError({
    stage: 'config',
    code: 'state-path-too-long',
    message: `the state directory ${directory} is too long a path for the sockets in it`,
    remedy: 'choose a shorter --name, or set XDG_CACHE_HOME to a directory with a short path',
  });
}

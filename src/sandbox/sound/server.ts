/** The sound server of the user who starts a sandbox: PulseAudio, or PipeWire with pipewire-pulse. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { isSystemError, messageOf } from '../../util/errors.js';
import { peerOf } from '../state/peer.js';

/** There is no sound server to play to. The message says what would be one, without its full stop. */
export class NoServer extends Error {}

const REMEDY = 'start PulseAudio, or PipeWire with pipewire-pulse, as the user who starts the sandbox';

/** The server's socket. @throws {NoServer} */
export function serverPath({ XDG_RUNTIME_DIR: runtime }: NodeJS.ProcessEnv = process.env): string {
  if (runtime === undefined || runtime === '')
    throw new NoServer(`XDG_RUNTIME_DIR, where the socket of a sound server is, is not set; ${REMEDY}`);
  return join(runtime, 'pulse/native');
}

/**
 * Connects to the server. It is root that another user's runtime directory could lead to that user's server.
 * @throws {NoServer}
 */
export async function connectToServer(path = serverPath()): Promise<Socket> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    const uid = await peerOf(socket);
    if (uid !== process.geteuid?.())
      throw new NoServer(`the sound server at ${path} is that of the user ${uid}; unset XDG_RUNTIME_DIR, or ${REMEDY}`);
    return socket;
  } catch (error) {
    socket.destroy();
    if (!isSystemError(error)) throw error;
    const onlyPipeWire = error.code === 'ENOENT' && existsSync(join(path, '../../pipewire-0'));
    const what = onlyPipeWire ? 'PipeWire runs without pipewire-pulse' : 'no sound server answers';
    throw new NoServer(`${what}: ${messageOf(error)}; ${REMEDY}`);
  }
}

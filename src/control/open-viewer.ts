/** Connects to the screen of a sandbox that another process holds, as a viewer of VNC. */
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { quote } from '../config/errors.js';
import { screenError } from '../sandbox/screen/errors.js';
import { VNC_SOCKET } from '../sandbox/screen/screen-sockets.js';
import { connectTo } from '../sandbox/state/connect-to.js';
import type { RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError, messageOf } from '../util/errors.js';
import { option } from '../util/option-names.js';
import { openState } from './open-state.js';
import type { SandboxRecord } from './record.js';

/**
 * The path that another user has on record is not looked at. The socket in the directory of the sandbox is, and that user
 * must listen there.
 * @throws {SandboxError} `screen-missing`, `viewers-not-let-in`, `viewer-failed`
 */
export async function openViewer({ name, screen }: SandboxRecord, running: RunningSandbox): Promise<Socket> {
  if (screen === undefined)
    throw screenError(
      'screen-missing',
      `the sandbox ${quote(name)} has no screen`,
      `start it with ${option('graphics')}`,
    );
  if (running.user === undefined && screen.vncSocket === undefined) throw notLetIn(name);
  try {
    const fd = openState(running);
    try {
      return await connectTo(join(`/proc/self/fd/${fd}`, VNC_SOCKET), running.user?.uid);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (running.user !== undefined && isSystemError(error, 'ENOENT')) throw notLetIn(name, error);
    throw screenError(
      'viewer-failed',
      `the screen of the sandbox ${quote(name)} cannot be connected to: ${messageOf(error)}`,
      'see that the sandbox still runs',
      error,
    );
  }
}

function notLetIn(name: string, cause?: unknown) {
  return screenError(
    'viewers-not-let-in',
    `the screen of the sandbox ${quote(name)} lets in no viewers`,
    `start it with ${option('graphics')} and without the word none; virt-sandbox-ctl screenshot takes pictures of it`,
    cause,
  );
}

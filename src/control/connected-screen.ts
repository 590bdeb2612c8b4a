/** The screen of a sandbox that another process holds. */
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { ScreenSize } from '../config/types.js';
import { screenError } from '../sandbox/screen/errors.js';
import { PICTURE_SOCKET } from '../sandbox/screen/screen-sockets.js';
import type { ScreenPort } from '../sandbox/screen/types.js';
import { connectTo } from '../sandbox/state/connect-to.js';
import type { RunningSandbox } from '../sandbox/state/running.js';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { openState } from './open-state.js';
import { RecordError, readRecord, type SandboxRecord } from './record.js';
import type { ControlRequest } from './requests.js';

/** @returns undefined: it has none */
export function connectedScreen(
  { screen }: SandboxRecord,
  running: RunningSandbox,
  ask: (request: ControlRequest) => Promise<string>,
): ScreenPort | undefined {
  if (screen === undefined) return undefined;
  let size: ScreenSize = screen;
  const look = () => {
    size = sizeOnRecord(running) ?? size;
    return size;
  };
  return {
    get width() {
      return look().width;
    },
    get height() {
      return look().height;
    },
    vncSocket: screen.vncSocket,
    spiceSocket: screen.spiceSocket,
    listening: screen.listening,
    takePicture: () => takePicture(running),
    enter: async (inputs) => {
      await ask({ ask: 'input', inputs: inputs.map((input) => ({ ...input })) } as ControlRequest);
    },
    resize: async ({ width, height }) => {
      await ask({ ask: 'resizeScreen', width, height });
    },
  };
}

/** What its holder has seen last; undefined: it ends. */
function sizeOnRecord(running: RunningSandbox): ScreenSize | undefined {
  let fd: number | undefined;
  try {
    fd = openState(running);
    return readRecord(`/proc/self/fd/${fd}`, running.name, running.user?.uid).screen;
  } catch (error) {
    if (error instanceof RecordError || error instanceof SandboxError || isSystemError(error)) return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Whoever connects there gets a PNG, and then the end. */
async function takePicture(running: RunningSandbox): Promise<Buffer> {
  try {
    const fd = openState(running);
    const { checkedPicture, readAll } = await import('../sandbox/screen/picture.js');
    try {
      const socket = await connectTo(join(`/proc/self/fd/${fd}`, PICTURE_SOCKET), running.user?.uid);
      return checkedPicture(await readAll(socket));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw screenError(
      'screenshot-failed',
      `there is no picture of the screen of ${running.name}: ${messageOf(error)}`,
      'see that the sandbox still runs',
      error,
    );
  }
}

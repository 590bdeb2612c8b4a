/** Serves a sandbox to other processes while its application runs at this terminal. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ControlServer } from '../../control/server.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { isSystemError } from '../../util/errors.js';

/**
 * Begins when the application runs, which does not wait for it. Where it fails, as on a full disk, the application runs
 * on, and no other process finds the sandbox.
 */
export function serveBeside(sandbox: Sandbox): ControlServer {
  let hasEnded = false;
  void sandbox.ending.then(() => {
    hasEnded = true;
  });
  const serving = begin(sandbox, () => hasEnded);
  return {
    close: async () => {
      await (await serving)?.close();
    },
  };
}

async function begin(sandbox: Sandbox, hasEnded: () => boolean): Promise<ControlServer | undefined> {
  await nextTurn();
  const { serveControl } = await import('../../control/server.js');
  // Its directory may be another sandbox's by then.
  if (hasEnded()) return undefined;
  try {
    return await serveControl(sandbox, { detached: false });
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

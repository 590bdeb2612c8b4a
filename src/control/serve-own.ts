/** `control`: a program serves its own sandbox to other processes. */
import type { Sandbox } from '../sandbox/sandbox.js';
import { isSystemError } from '../util/errors.js';
import { controlError } from './errors.js';
import type { ControlServer } from './server.js';

/**
 * Resolves when others can connect, or when the sandbox has ended before. They are served until it has ended.
 * @throws {SandboxError} `control-failed`; nothing is left of the sandbox then
 */
export async function serveOwn(sandbox: Sandbox): Promise<void> {
  const state = { hasEnded: false };
  void sandbox.ending.then(() => {
    state.hasEnded = true;
  });
  const serving = begin(sandbox, state);
  // Its directory stays until then, and nobody else has it.
  sandbox.endAfter(serving);
  try {
    const server = await serving;
    const close = () => void server?.close();
    sandbox.exited.then(close, close);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (state.hasEnded) return;
    await sandbox.stop();
    throw controlError(
      `other processes cannot be served: ${error.message}`,
      'make room where its state directory is, or start it without control',
      error,
    );
  }
}

async function begin(sandbox: Sandbox, state: { readonly hasEnded: boolean }): Promise<ControlServer | undefined> {
  const { serveControl } = await import('./server.js');
  return state.hasEnded ? undefined : serveControl(sandbox, { detached: false });
}

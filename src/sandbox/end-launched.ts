/** The end of a sandbox: nothing of it is left on the host. */
import type { DestroyOptions } from '../libvirt/connection.js';
import { isSystemError, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import type { Launched } from './launched.js';
import type { LaunchOptions } from './types.js';

type Step = () => void | Promise<void> | undefined;

/**
 * Leaves nothing. By now it is known how the application ended, and that counts more than what fails here: that is a
 * warning.
 * @throws what is no error of a sandbox or of the system
 */
export async function endLaunched(
  { channel, domain, connection, network, givenDisks, screen, sound }: Launched,
  options: DestroyOptions,
  onWarning: LaunchOptions['onWarning'],
): Promise<void> {
  const unexpected: unknown[] = [];
  // Each step is taken, whatever becomes of the others.
  const step = (end: Step) => orWarn(end, onWarning).catch((error: unknown) => unexpected.push(error));
  mark('end.start');
  await step(() => domain.destroy(options));
  await step(() => screen?.close());
  await step(() => sound?.close());
  await step(() => givenDisks?.giveBack());
  await step(() => network?.end());
  mark('end.done');
  channel.destroy();
  await step(() => connection.close());
  mark('connection.closed');
  if (unexpected.length > 0) throw unexpected[0];
}

async function orWarn(end: Step, onWarning: LaunchOptions['onWarning']): Promise<void> {
  try {
    await end();
  } catch (error) {
    if (!(error instanceof SandboxError) && !isSystemError(error)) throw error;
    onWarning?.(error instanceof SandboxError ? `${error.message}; ${error.remedy}` : error.message);
  }
}

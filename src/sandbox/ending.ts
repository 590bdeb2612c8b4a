/** How a sandbox has ended: the status of its application, or why there is none. */
import { isQemuGone } from '../libvirt/errors.js';
import { SandboxError } from '../util/errors.js';
import { settlesWithin } from '../util/promises.js';
import { exitStatusOf } from './exit-status.js';
import type { Launched } from './launched.js';
import type { ProcessExit } from './process/types.js';
import { goneError } from './start/boot-errors.js';

/** How long the connection to a QEMU that has ended may take to break, in milliseconds. */
const QEMU_ENDS_MS = 200;

/** How long libvirt may take to notice the end of QEMU, in milliseconds. */
const NOTICED_MS = 2000;

/**
 * How the application ended. A virtiofsd that ends before QEMU fails it; one that ends with QEMU does not, and what the
 * guest has sent counts.
 * @throws why there is no status, for {@link failureOf}
 */
export async function exitOf({ channel, shares }: Launched): Promise<ProcessExit> {
  const exited = channel.application.exited.then(({ status, timedOut }) => ({ ...exitStatusOf(status), timedOut }));
  try {
    return await Promise.race([exited, shares.failed]);
  } catch (error) {
    if (await settlesWithin(exited, QEMU_ENDS_MS)) return exited;
    throw error;
  }
}

/**
 * Why a sandbox that nobody has stopped has no status.
 * @param isIdle it had no application
 * @param error what {@link exitOf} has thrown
 */
export async function failureOf({ domain, console }: Launched, isIdle: boolean, error: unknown): Promise<unknown> {
  if (error instanceof SandboxError && error.code === 'virtiofsd-died') return error;
  // libvirt notices the end of QEMU a little after its sockets close, and may know the reason.
  const reason = (await settlesWithin(domain.stopped, NOTICED_MS)) ? (await domain.stopped).error : undefined;
  return reason === undefined || isQemuGone(reason) ? goneError(console, isIdle ? 'idle' : 'running') : reason;
}

export function stoppedError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'stopped',
    message: 'the sandbox was stopped before the application ended',
    remedy: 'start it again',
    cause,
  });
}

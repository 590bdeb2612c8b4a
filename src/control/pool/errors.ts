/** Errors of those who talk to the holder of a pool. */
import { quote } from '../../config/errors.js';
import { SandboxError } from '../../util/errors.js';

/** Its holder is gone, or the pool is being removed. */
export function poolEndedError(name: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'pool-ended',
    message: `the pool ${quote(name)} has ended`,
    remedy: 'create it again: virt-sandbox-ctl pool create',
    cause,
  });
}

/** @param why none is free */
export function poolFullError(name: string, why: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'pool-full',
    message: `the pool ${quote(name)} gives no sandbox away: ${why}`,
    remedy: 'wait until some have ended, or create a second pool: virt-sandbox-ctl pool create',
  });
}

export function poolInUseError(name: string, running: readonly string[]): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'pool-in-use',
    message: `the pool ${quote(name)} stays, because sandboxes of it run: ${running.join(', ')}`,
    remedy: 'wait for their end, or stop them too: virt-sandbox-ctl pool rm --force',
  });
}

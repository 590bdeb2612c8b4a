/** The errors of a pool. */

import { configError, quote } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { forCaller } from '../../util/option-names.js';

export function ofContainers(uri: string): SandboxError {
  return configError(
    'pool-of-containers',
    `a pool cannot have containers (${quote(uri)}): only a machine can wait with its processors stopped`,
    'use a qemu:/// connection, or Sandbox.create: a container starts in a fraction of a second',
  );
}

/**
 * Two sandboxes must not write to one disk, and each of a pool would have it.
 * @throws {SandboxError} `pool-with-writable-disk`, `pool-with-kept-overlay`
 */
export function refuseWriters({ mounts, disks, overlay }: SandboxConfig): void {
  if (overlay !== undefined && overlay.type !== 'memory')
    throw configError(
      'pool-with-kept-overlay',
      `a pool cannot have an overlay that is kept (${quote(overlay.path)}): only one sandbox may write to it at a time`,
      `keep it in memory, where each has its own: ${forCaller({ commandLine: '--overlay', program: 'overlay: true' })}`,
    );
  const image = mounts.find((mount) => mount.type === 'host-image' && !mount.readOnly);
  const disk = disks.find(({ readOnly }) => !readOnly);
  const what = image === undefined ? disk?.tag : image.target;
  if (what === undefined) return;
  throw configError(
    'pool-with-writable-disk',
    `a pool cannot have a disk that its sandboxes write to (${quote(what)}): only one may at a time`,
    'make it read-only, or start such a sandbox with Sandbox.create',
  );
}

/**
 * A port of this host can be that of one sandbox, and who takes a sandbox cannot be told of another.
 * @throws {SandboxError} `pool-with-ports`
 */
export function refusePorts({ publish }: SandboxConfig): void {
  if (publish.length === 0) return;
  throw configError(
    'pool-with-ports',
    'a pool cannot publish ports from the start: each of its sandboxes would have them',
    'publish the ports of a sandbox that was taken: sandbox.publish()',
  );
}

export function closedError(): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'pool-closed',
    message: 'the pool was closed',
    remedy: 'take sandboxes before it is closed, or create another pool',
  });
}

/** @param cause the last failure */
export function refillError(failures: number, cause: unknown): SandboxError {
  return new SandboxError({
    stage: cause instanceof SandboxError ? cause.stage : 'boot',
    code: 'pool-refill-failed',
    message: `${failures} sandboxes of the pool failed, one after the other; the last one: ${messageOf(cause)}`,
    remedy: cause instanceof SandboxError ? cause.remedy : 'take again, which starts others',
    cause,
    ...(cause instanceof SandboxError ? { consoleTail: cause.consoleTail } : {}),
  });
}

/** @param cause what QEMU's monitor says */
export function unpausedError(cause: Error): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'guest-gone',
    message: `a sandbox of the pool could not be made to wait: ${cause.message}`,
    remedy: 'see if something ends QEMU: a memory limit, another program',
    cause,
  });
}

export function silentError(milliseconds: number): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'guest-silent',
    message: `a sandbox of the pool did not answer within ${milliseconds / 1000} s`,
    remedy: 'see if the host is very busy',
  });
}

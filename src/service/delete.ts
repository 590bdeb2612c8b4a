/** Removes services. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { keptOverlay } from '../sandbox/devices/overlay-directory.js';
import { isImageInUse } from '../sandbox/devices/overlay-image.js';
import { ignoreSandboxError } from '../util/errors.js';
import { abortedError } from './errors.js';
import { loadService } from './file.js';
import { type ServiceRoots, servicePaths } from './paths.js';
import { removeLife } from './run/record.js';
import { type LockOptions, withServiceLock } from './store/lock.js';
import { type Made, readMade } from './store/made.js';
import { removeService } from './store/staging.js';
import { endLeftAndRefuseContainers, refuseUsed, stateInUse } from './store/unused.js';
import { foreignContent } from './taken-over.js';

/** What the end of a sandbox whose holder was killed may take, in milliseconds, and between two looks. */
const ENDING_MS = 10_000;
const LOOK_MS = 100;

export interface Deleted {
  /** Paths where something is that was not made for the service. */
  readonly kept: readonly string[];
  /** Paths with the content of a service of libvirt-sandbox, whose owner is not known. */
  readonly content: readonly string[];
}

/**
 * Removes a service with its state. One that runs is stopped before.
 * @param stop stops it if it runs; nobody can start it meanwhile
 * @returns what stays
 * @throws {SandboxError} `service-not-found`, `service-not-removable`, `service-state-in-use`,
 *   `service-state-left`, `aborted`, and what `stop` throws
 */
export async function deleteService(
  roots: ServiceRoots,
  name: string,
  stop: () => Promise<void>,
  options: LockOptions = {},
): Promise<Deleted> {
  return withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      await stop();
      const content = await ignoreSandboxError(loadService(roots, name).then(foreignContent));
      await untilUnused(roots, name, options.signal);
      await removeLife(servicePaths(roots, name).life);
      return { kept: removeService(roots, name), content: content ?? [] };
    },
    options,
  );
}

/** A sandbox that virt-sandbox has started from the file has the state in use, or one whose holder was just killed. */
async function untilUnused(roots: ServiceRoots, name: string, signal: AbortSignal | undefined): Promise<void> {
  const made = readMade(servicePaths(roots, name).directory);
  for (const deadline = Date.now() + ENDING_MS; ; await delay(LOOK_MS)) {
    if (signal?.aborted) throw abortedError(name);
    try {
      for (const one of made) await refuseInUse(name, one, signal);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

/** @throws {SandboxError} `service-state-in-use`, `service-state-left`, `aborted` */
async function refuseInUse(name: string, { kind, path }: Made, signal: AbortSignal | undefined): Promise<void> {
  if (kind === 'file') {
    if (existsSync(path) && isImageInUse(path)) throw stateInUse(name, path);
    return;
  }
  await endLeftAndRefuseContainers(name, path, signal);
  // One that is damaged, or not there, no machine can use.
  const kept = await ignoreSandboxError(Promise.resolve().then(() => keptOverlay(path)));
  if (kept !== undefined) refuseUsed(name, kept);
}

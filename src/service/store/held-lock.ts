/** Locks of services that are let go before the work that took them ends. */
import { deferred } from '../../util/promises.js';
import type { ServiceRoots } from '../paths.js';
import { type LockOptions, withServiceLock } from './lock.js';

/** Lets a lock go. Further calls do nothing. */
export type Release = () => Promise<void>;

/** As {@link LockOptions}; `onWait` is told which service another process changes. */
export interface HeldLockOptions extends Pick<LockOptions, 'signal'> {
  readonly onWait?: ((name: string) => void) | undefined;
}

/**
 * Takes the locks of services. Everybody takes them in the order of their names, so nobody waits for one who waits.
 * @returns what lets each of them go
 * @throws {SandboxError} as `withServiceLock`
 */
export async function holdServiceLocks(
  roots: ServiceRoots,
  names: readonly string[],
  options: HeldLockOptions = {},
): Promise<ReadonlyMap<string, Release>> {
  const held = new Map<string, Release>();
  try {
    for (const name of [...new Set(names)].sort()) held.set(name, await hold(roots, name, options));
    return held;
  } catch (error) {
    await releaseAll(held);
    throw error;
  }
}

export async function releaseAll(held: ReadonlyMap<string, Release>): Promise<void> {
  for (const release of held.values()) await release();
}

async function hold(roots: ServiceRoots, name: string, { signal, onWait }: HeldLockOptions): Promise<Release> {
  const [taken, released] = [deferred<void>(), deferred<void>()];
  const holding = withServiceLock(
    roots,
    name,
    'exclusive',
    async () => {
      taken.resolve();
      await released.promise;
    },
    { signal, onWait: () => onWait?.(name) },
  );
  await Promise.race([taken.promise, holding]);
  return async () => {
    released.resolve();
    await holding;
  };
}

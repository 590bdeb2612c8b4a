/** The lock of the store: those who pull have it shared, many at once, and one who removes has it alone. */
import { imageError } from '../../oci-names/errors.js';
import { withLock } from '../lock.js';
import { type Places, storeError } from './places.js';

/** Milliseconds that one who removes waits for others: most have the lock for a moment only. */
const BUSY_AFTER = 5000;

/** Runs `work` while nobody removes anything. */
export async function whilePulling<T>(
  places: Places,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await withLock(places.lock, 'shared', { signal }, work);
  } catch (error) {
    throw storeError(error, places.directory);
  }
}

/**
 * Runs `work` while nobody pulls, verifies or removes anything.
 * @param options `patience`: milliseconds to wait for others
 * @throws {SandboxError} `store-busy`, `aborted`, `store-not-safe`, `store-not-writable`
 */
export async function withExclusiveLock<T>(
  places: Places,
  { signal, patience = BUSY_AFTER }: { readonly signal?: AbortSignal | undefined; readonly patience?: number },
  work: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + patience;
  const onWait = () => {
    if (performance.now() < end) return;
    throw imageError(
      'store-busy',
      `${places.directory} is in use by a pull, a verification or a removal`,
      'try again when that has ended',
    );
  };
  places.make();
  try {
    return await withLock(places.lock, 'exclusive', { signal, onWait }, work);
  } catch (error) {
    throw storeError(error, places.directory);
  }
}

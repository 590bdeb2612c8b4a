/** The lock of those who pull: many at once, and none while somebody removes images. */
import { withLock } from '../lock.js';
import { type Places, storeError } from './places.js';

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

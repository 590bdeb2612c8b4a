/**
 * The lock of the store: those who pull have it shared, many at once, and one who removes has it alone. A remover takes a
 * second lock first, the turn, and holds it to its end. Pulls take the turn for a moment before the lock of the store, so
 * pulls that overlap cannot keep a remover waiting for ever.
 */
import { imageError } from '../../oci-names/errors.js';
import { withLock } from '../lock.js';
import { type StorePaths, storeError } from './store-paths.js';

/** Milliseconds that one who removes waits for others: most have the lock for a moment only. */
const BUSY_AFTER = 5000;

/** Runs `work` while nobody removes anything. It must not lie within other such work, which would wait for itself. */
export async function withSharedLock<T>(
  paths: StorePaths,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await withLock(paths.turn, 'shared', { signal }, async () => {});
    return await withLock(paths.lock, 'shared', { signal }, work);
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

export interface ExclusiveOptions {
  readonly signal?: AbortSignal | undefined;
  readonly patience?: number;
  readonly onWait?: (() => void) | undefined;
}

/**
 * Runs `work` while nobody pulls, verifies or removes anything.
 * @param options `patience`: milliseconds to wait for others; `onWait` is called once, if it has to wait
 * @throws {SandboxError} `store-busy`, `aborted`, `store-not-safe`, `store-not-writable`
 */
export async function withExclusiveLock<T>(
  paths: StorePaths,
  { signal, patience = BUSY_AFTER, onWait }: ExclusiveOptions,
  work: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + patience;
  let isWaiting = false;
  const wait = () => {
    if (!isWaiting) onWait?.();
    isWaiting = true;
    if (performance.now() < end) return;
    throw imageError(
      'store-busy',
      `${paths.directory} is in use by a pull, a verification or a removal`,
      'try again when that has ended',
    );
  };
  paths.make();
  try {
    return await withLock(paths.turn, 'exclusive', { signal, onWait: wait }, () =>
      withLock(paths.lock, 'exclusive', { signal, onWait: wait }, work),
    );
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

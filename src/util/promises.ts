/** Promises that are settled from outside, and waiting for promises with an end. */

/** A promise and the functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Promise.withResolvers, which Node.js 20 lacks. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

/** True if the promise settles in time, either way. */
export async function settlesWithin(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const inTime = await Promise.race([settled, late]);
  clearTimeout(timer);
  return inTime;
}

/**
 * A signal that aborts when `milliseconds` are over, or when another one does. The timer keeps it: Node.js 20 loses an
 * AbortSignal.timeout() that nothing but AbortSignal.any() knows, and it never aborts then.
 */
export function abortedWithin(milliseconds: number, other: AbortSignal): AbortSignal {
  const late = new AbortController();
  setTimeout(() => late.abort(), milliseconds).unref();
  return AbortSignal.any([other, late.signal]);
}

/**
 * Waits for a promise until the signal aborts. Then the promise is ignored.
 *
 * @param called Makes the error to throw from the signal's reason.
 * @throws the error of the promise, or the result of `called`
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  called: (reason: unknown) => Error,
): Promise<T> {
  if (!signal) return promise;
  promise.catch(() => {});
  if (signal.aborted) throw called(signal.reason);
  let onAbort: () => void = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(called(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

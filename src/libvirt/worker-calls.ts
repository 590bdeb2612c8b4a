/** Calls of native functions on a worker thread. */
import type { KoffiFunc } from 'koffi';

export type NativeFunction = KoffiFunc<(...args: unknown[]) => unknown>;

/** Number of calls of {@link ask} that have not returned. */
let unanswered = 0;

/** Calls a function on a worker thread. */
export function onWorker<T>(fn: NativeFunction, ...args: unknown[]): Promise<T> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error: Error | null, value: unknown) => (error ? reject(error) : resolve(value as T)));
  });
}

/** Like {@link onWorker}, for a function that waits for a daemon. */
export async function ask<T>(fn: NativeFunction, ...args: unknown[]): Promise<T> {
  unanswered += 1;
  try {
    return await onWorker<T>(fn, ...args);
  } finally {
    unanswered -= 1;
  }
}

/** True while a daemon has not answered. */
export function isAsking(): boolean {
  return unanswered > 0;
}

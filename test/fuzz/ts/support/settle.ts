/**
 * Settles promises within the call that made them. The fuzzer's own way to wait for a promise is a thread that asks this
 * one for each input, and takes longer than most inputs.
 */

/** Node.js runs the queues of `process.nextTick` and of promises here, until both are empty. */
const { _tickCallback: runQueues } = process as unknown as { readonly _tickCallback: () => void };

interface Fuzzer {
  startFuzzing(...parameters: unknown[]): Promise<unknown>;
}

let waiting: (() => void)[] = [];

/** Resolves when nothing is left to do but what waits for it. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve));
}

/** @throws what `work` is rejected with, and an error if it waits for something that never happens */
export function settle(work: void | Promise<void>): void {
  let failure: { readonly error: unknown } | undefined;
  let settled = false;
  Promise.resolve(work).then(
    () => {
      settled = true;
    },
    (error: unknown) => {
      settled = true;
      failure = { error };
    },
  );
  // An error in a callback of process.nextTick comes out of here, and ends the process soon.
  runQueues();
  while (waiting.length > 0) {
    const resolvers = waiting;
    waiting = [];
    for (const resolve of resolvers) resolve();
    runQueues();
  }
  if (failure !== undefined) throw failure.error;
  if (!settled) throw new Error('it waits for something that never happens');
}

/** The fuzzer starts within a promise, where the queues do not run: it is to start a little later. */
export function startOutsidePromises(): void {
  const { Fuzzer: fuzzer } = globalThis as { Fuzzer?: Fuzzer };
  if (fuzzer === undefined) return;
  const start = fuzzer.startFuzzing;
  fuzzer.startFuzzing = (...parameters) =>
    new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          start(...parameters).then(resolve, reject);
        } catch (error) {
          reject(error);
        }
      });
    });
}

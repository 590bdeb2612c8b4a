/** Messages and interruption while something is measured. */

export type Say = (message: string) => void;

/** Writes a message to stderr; stdout is for results. */
export const say: Say = (message) => {
  process.stderr.write(`virt-sandbox-bench: ${message}\n`);
};

/** The first Ctrl+C ends the measurement and keeps its results so far. The second one ends the program. */
export function interruptible(tell: Say): { readonly signal: AbortSignal; readonly release: () => void } {
  const controller = new AbortController();
  const handler = () => {
    if (controller.signal.aborted) process.exit(130);
    tell('interrupted: reporting what was measured so far');
    controller.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, handler);
  return {
    signal: controller.signal,
    release: () => {
      for (const signal of signals) process.off(signal, handler);
    },
  };
}

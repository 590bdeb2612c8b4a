/** What is said while it is being measured. */

export type Say = (message: string) => void;

/** On stderr: what goes to stdout are results. */
export const say: Say = (message) => {
  process.stderr.write(`virt-sandbox-bench: ${message}\n`);
};

/** Ctrl+C ends the measuring, and what was measured is kept. A second one ends the program. */
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

/** How a clone finds its source, stops it and starts it again. */
import { connectSandbox } from '../../control/lazy.js';
import type { RunningSource, SourceControl } from '../../service/clone/source.js';
import { serviceError } from '../../service/errors.js';
import { findHolder } from '../../service/run/claim.js';
import { startService } from './start.js';
import { stopService } from './stop.js';

export const sourceControl: SourceControl = { connect: findRunning, start };

/** One that waits for its next start counts as running: it would start while it is copied. */
async function findRunning(name: string, signal?: AbortSignal): Promise<RunningSource | undefined> {
  if (findHolder(name) === undefined) return undefined;
  const closing: (() => Promise<void>)[] = [];
  return {
    stop: () => stopService(name, undefined),
    holdStill: async (signalled) => {
      const sandbox = await connectSandbox(name, { signal });
      closing.push(() => sandbox.close());
      return sandbox.holdStill(signalled);
    },
    [Symbol.asyncDispose]: async () => {
      for (const close of closing) await close();
    },
  };
}

async function start(name: string): Promise<void> {
  // Its words are on stderr by then.
  if ((await startService(name)) === 0) return;
  throw serviceError(
    'service-not-started',
    `the service ${JSON.stringify(name)} was not started again`,
    `see why with virt-sandbox-service logs ${name}, and start it`,
  );
}

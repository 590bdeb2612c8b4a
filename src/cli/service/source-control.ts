/** How a clone or an export finds its source, stops it and starts it again. */
import type { ConnectedSandbox } from '../../control/connect.js';
import { connectSandbox } from '../../control/lazy.js';
import type { RunningSource, SourceControl, WhenRunning } from '../../service/clone/source.js';
import { serviceError } from '../../service/errors.js';
import { findHolder } from '../../service/run/claim.js';
import { notRunning } from '../../service/run/errors.js';
import { followRun, type LastRun } from '../../service/run/last-run.js';
import { SandboxError } from '../../util/errors.js';
import { isSet, type ServiceArguments, usageError } from './arguments.js';
import { pathsOfService } from './each-service.js';
import type { ServiceCommandName } from './options.js';
import { checkStartAgain, startAgain } from './start-service.js';
import { stopService } from './stop.js';

export const sourceControl: SourceControl = { connect: findRunning, start };

/** What `--stop` and `--live` ask for. @throws {SandboxError} `usage` */
export function whenRunning(args: ServiceArguments, command: ServiceCommandName): WhenRunning {
  if (!isSet(args, 'live')) return isSet(args, 'stop') ? 'stop' : 'refuse';
  if (!isSet(args, 'stop')) return 'live';
  throw usageError('--live and --stop do not go together: a source that is stopped does not run', command);
}

/**
 * One that waits for its next start counts as running: it would start while it is copied. So does a sandbox that
 * virt-sandbox has started from the file.
 */
async function findRunning(name: string, signal?: AbortSignal): Promise<RunningSource | undefined> {
  const isHeld = findHolder(name) !== undefined;
  const sandbox = await sandboxOf(name, signal);
  if (!isHeld && sandbox === undefined) return undefined;
  const run = followRun(name, pathsOfService(name).life, sandbox?.record.connection);
  return {
    run,
    checkStop: () => checkStartAgain(name, run()),
    stop: () => (isHeld || sandbox === undefined ? stopService(name, undefined) : stopUnlessEnded(sandbox)),
    holdStill: async (signalled) => {
      if (sandbox === undefined) throw notRunning(name);
      return sandbox.holdStill(signalled);
    },
    [Symbol.asyncDispose]: async () => sandbox?.close(),
  };
}

/** A sandbox of the same name need not be the service. */
async function sandboxOf(name: string, signal?: AbortSignal): Promise<ConnectedSandbox | undefined> {
  try {
    const sandbox = await connectSandbox(name, { signal });
    if (sandbox.record.guest.service === true) return sandbox;
    await sandbox.close();
  } catch (error) {
    const isGone = error instanceof SandboxError && ['sandbox-not-found', 'sandbox-ended'].includes(error.code);
    if (!isGone) throw error;
  }
  return undefined;
}

async function stopUnlessEnded(sandbox: ConnectedSandbox): Promise<void> {
  try {
    await sandbox.stop();
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'sandbox-ended') throw error;
  }
}

async function start(name: string, ran: LastRun): Promise<void> {
  // Its words are on stderr by then.
  if ((await startAgain(name, ran)) === 0) return;
  throw serviceError(
    'service-not-started',
    `the service ${JSON.stringify(name)} was not started again`,
    `see why with virt-sandbox-service logs ${name}, and start it`,
  );
}

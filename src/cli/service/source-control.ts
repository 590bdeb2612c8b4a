/** How a clone finds its source, stops it and starts it again. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { ConnectedSandbox } from '../../control/connect.js';
import { connectSandbox } from '../../control/lazy.js';
import type { RunningSource, SourceControl } from '../../service/clone/source.js';
import { serviceError } from '../../service/errors.js';
import { loadService } from '../../service/file.js';
import type { ServiceRoots } from '../../service/paths.js';
import { SandboxError } from '../../util/errors.js';
import { packageDirectory } from '../../util/programs.js';

/** More than a line of an error. In characters. */
const MOST_SAID = 2000;

export function sourceControl(roots: ServiceRoots): SourceControl {
  return { connect: findRunning, start: (name) => start(roots, name) };
}

/** A sandbox of the same name need not be the service. */
async function findRunning(name: string, signal?: AbortSignal): Promise<RunningSource | undefined> {
  let sandbox: ConnectedSandbox;
  try {
    sandbox = await connectSandbox(name, { signal });
  } catch (error) {
    const isGone = error instanceof SandboxError && ['sandbox-not-found', 'sandbox-ended'].includes(error.code);
    if (isGone) return undefined;
    throw error;
  }
  if (sandbox.record.guest.service === true)
    return {
      stop: () => stopUnlessEnded(sandbox),
      holdStill: (signalled) => sandbox.holdStill(signalled),
      [Symbol.asyncDispose]: () => sandbox.close(),
    };
  await sandbox.close();
  return undefined;
}

async function stopUnlessEnded(sandbox: ConnectedSandbox): Promise<void> {
  try {
    await sandbox.stop();
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'sandbox-ended') throw error;
  }
}

async function start(roots: ServiceRoots, name: string): Promise<void> {
  const { paths, settings } = await loadService(roots, name);
  const connect = settings.connect === undefined ? [] : ['--connect', settings.connect];
  const script = join(packageDirectory(), 'bin', 'virt-sandbox');
  const child = spawn(script, ['--config', paths.file, '--detach', ...connect], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MOST_SAID);
  });
  const how = await new Promise<string | number | null>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('exit', (status, by) => resolve(status ?? by));
  });
  // The holder has the other end of it as long as the service runs.
  child.stderr.destroy();
  if (how === 0) return;
  throw serviceError(
    'service-not-started',
    `the service ${JSON.stringify(name)} was not started again: ${said.trim() || `virt-sandbox ended with ${how}`}`,
    `look what it says: virt-sandbox --config ${paths.file}`,
  );
}

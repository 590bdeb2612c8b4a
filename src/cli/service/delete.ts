/** virt-sandbox-service delete: stops services, and removes them with their state. */
import { connectSandbox } from '../../control/connect.js';
import { deleteService } from '../../service/delete.js';
import { type ServiceRoots, serviceRoots } from '../../service/paths.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { untilSignal } from '../until-signal.js';
import { PROGRAM, type ServiceArguments } from './arguments.js';
import { sayWait } from './waiting.js';

export async function deleteServices({ words }: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  return untilSignal(
    async (signal) => {
      let status = 0;
      for (const name of new Set(words)) {
        const failed = await deleteOne(roots, name, signal);
        if (status === 0) status = failed;
      }
      return status;
    },
    async (status) => status,
  );
}

/** @returns the exit status */
async function deleteOne(roots: ServiceRoots, name: string, signal: AbortSignal): Promise<number> {
  try {
    const kept = await deleteService(roots, name, () => stopIfRunning(name), { signal, onWait: sayWait(name) });
    for (const path of kept) {
      const line = `${name} is removed, but ${path} stays: it is not what was made for the service`;
      process.stderr.write(`${PROGRAM}: ${oneLine(line)}\n`);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code === 'aborted') throw error;
    return tellFailure(PROGRAM, error);
  }
}

/** A sandbox of the same name need not be the service. */
async function stopIfRunning(name: string): Promise<void> {
  try {
    await using sandbox = await connectSandbox(name);
    if (sandbox.record.guest.service === true) await sandbox.stop();
  } catch (error) {
    const isGone = error instanceof SandboxError && ['sandbox-not-found', 'sandbox-ended'].includes(error.code);
    if (!isGone) throw error;
  }
}

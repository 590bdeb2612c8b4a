/** virt-sandbox-service delete: stops services, and removes them with their state. */
import { hostPath } from '../../config/path.js';
import type { Expected } from '../../service/connection.js';
import { deleteService } from '../../service/delete.js';
import { type ServiceRoots, serviceRoots } from '../../service/paths.js';
import { findHolder, removeDeadClaim } from '../../service/run/claim.js';
import { oldUnit, removalOf } from '../../service/taken-over.js';
import { SandboxError } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { untilSignal } from '../until-signal.js';
import { PROGRAM, type ServiceArguments, textOf } from './arguments.js';
import { checkName } from './each-service.js';
import { say } from './say.js';
import { stopService } from './stop.js';
import { askSystemd, knownUnit } from './systemctl.js';
import { sayWait } from './waiting.js';

export async function deleteServices(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const path = textOf(args, 'path');
  const expected = {
    connect: textOf(args, 'connect'),
    path: path === undefined ? undefined : hostPath(path, '--path'),
  };
  return untilSignal(
    async (signal) => {
      let status = 0;
      for (const name of new Set(args.words)) {
        const failed = await deleteOne(roots, name, expected, signal);
        if (status === 0) status = failed;
      }
      return status;
    },
    async (status) => status,
  );
}

/** @returns the exit status */
async function deleteOne(roots: ServiceRoots, name: string, expected: Expected, signal: AbortSignal): Promise<number> {
  try {
    await checkName(name, expected);
    const { kept, content } = await deleteService(roots, name, () => stopIfHeld(name), {
      signal,
      onWait: sayWait(name),
    });
    for (const path of kept) say(`${name} is removed, but ${path} stays: it is not what was made for the service`);
    for (const path of content) say(`${name} is removed, but its content stays in ${path}`);
    const unit = oldUnit(roots.scope, name);
    if (unit !== undefined) say(`${name} is removed, but its unit of libvirt-sandbox stays; ${removalOf(name, unit)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code === 'aborted') throw error;
    return tellFailure(PROGRAM, error);
  }
}

/** One that is half made has nothing that could be asked how long it may take. */
async function stopIfHeld(name: string): Promise<void> {
  if (findHolder(name) !== undefined) await stopService(name, undefined);
  else await stopWaiting(name);
  await removeDeadClaim(name);
}

/** systemd may be about to start it again. */
async function stopWaiting(name: string): Promise<void> {
  const unit = await knownUnit(name);
  if (unit !== undefined) await askSystemd(unit, 'stop');
}

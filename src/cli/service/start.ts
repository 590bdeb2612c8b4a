/** virt-sandbox-service start and restart. */
import { join } from 'node:path';
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { findHolder } from '../../service/run/claim.js';
import { alreadyRuns, uriOfUnit } from '../../service/run/errors.js';
import { hiddenUnit, oldUnit } from '../../service/taken-over.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { packageDirectory } from '../../util/programs.js';
import { HOLD_SERVICE } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import { type ServiceArguments, textOf } from './arguments.js';
import { forEachService, pathsOfService } from './each-service.js';
import { tellOldUnit } from './old-unit.js';
import { stopService, stopTimeout } from './stop.js';
import { askSystemd, knownUnit } from './systemctl.js';

/** A service that systemd has a unit for is started by systemd. */
export async function start(args: ServiceArguments): Promise<number> {
  const connect = textOf(args, 'connect');
  return forEachService(args, (name) => startService(name, connect));
}

export async function restart(args: ServiceArguments): Promise<number> {
  const timeout = stopTimeout(args, 'restart');
  const connect = textOf(args, 'connect');
  return forEachService(args, async (name) => {
    await refuseUriOfUnit(name, connect);
    await stopService(name, timeout);
    return startService(name, connect);
  });
}

/**
 * @param connect the URI for one whose file names none
 * @returns the exit status
 */
export async function startService(name: string, connect?: string): Promise<number> {
  pathsOfService(name);
  if (findHolder(name) !== undefined) throw alreadyRuns(name);
  const unit = await knownUnit(name);
  const old = oldUnit(serviceRoots().scope, name);
  if (unit !== undefined) {
    if (old !== undefined) throw hiddenUnit(name, old);
    await refuseUriOfUnit(name, connect);
    await askSystemd(unit, 'start');
    return 0;
  }
  tellOldUnit(name);
  const script = join(packageDirectory(), 'bin', 'virt-sandbox-service');
  return startHolder({ script, role: HOLD_SERVICE, what: `the service ${name}`, isSilent: true }, [
    name,
    ...(connect === undefined ? [] : [connect]),
  ]);
}

/** systemd starts what the file says. */
async function refuseUriOfUnit(name: string, connect: string | undefined): Promise<void> {
  if (connect === undefined || (await knownUnit(name)) === undefined) return;
  const service = await ignoreSandboxError(loadService(serviceRoots(), name));
  if (service !== undefined && service.settings.connect === undefined) throw uriOfUnit(name, connect);
}

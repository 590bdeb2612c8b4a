/** virt-sandbox-service start and restart. */
import { join } from 'node:path';
import { serviceRoots } from '../../service/paths.js';
import { findHolder } from '../../service/run/claim.js';
import { alreadyRuns } from '../../service/run/errors.js';
import { hiddenUnit, oldUnit } from '../../service/taken-over.js';
import { packageDirectory } from '../../util/programs.js';
import { HOLD_SERVICE } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import type { ServiceArguments } from './arguments.js';
import { forEachService, pathsOfService } from './each-service.js';
import { tellOldUnit } from './old-unit.js';
import { stopService, stopTimeout } from './stop.js';
import { askSystemd, knownUnit } from './systemctl.js';

/** A service that systemd has a unit for is started by systemd. */
export async function start({ words }: ServiceArguments): Promise<number> {
  return forEachService(words, startService);
}

export async function restart(args: ServiceArguments): Promise<number> {
  const timeout = stopTimeout(args, 'restart');
  return forEachService(args.words, async (name) => {
    await stopService(name, timeout);
    return startService(name);
  });
}

/** @returns the exit status */
export async function startService(name: string): Promise<number> {
  pathsOfService(name);
  if (findHolder(name) !== undefined) throw alreadyRuns(name);
  const unit = await knownUnit(name);
  const old = oldUnit(serviceRoots().scope, name);
  if (unit !== undefined) {
    if (old !== undefined) throw hiddenUnit(name, old);
    await askSystemd(unit, 'start');
    return 0;
  }
  tellOldUnit(name);
  const script = join(packageDirectory(), 'bin', 'virt-sandbox-service');
  return startHolder({ script, role: HOLD_SERVICE, what: `the service ${name}`, isSilent: true }, [name]);
}

/** Starts services, each in a process that holds it, or by the host's systemd. */
import { join } from 'node:path';
import { URI } from '../../libvirt/connection.js';
import { defaultUri } from '../../libvirt/default-uri.js';
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { findHolder } from '../../service/run/claim.js';
import { alreadyRuns, uriOfUnit } from '../../service/run/errors.js';
import type { LastRun } from '../../service/run/last-run.js';
import { hiddenUnit, oldUnit } from '../../service/taken-over.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { packageDirectory } from '../../util/programs.js';
import { HOLD_SERVICE } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import { pathsOfService } from './each-service.js';
import { tellOldUnit } from './old-unit.js';
import { askSystemd, knownUnit } from './systemctl.js';

/** Starts it over the URI that it ran over. @returns the exit status */
export async function startAgain(name: string, { connect, unit }: LastRun): Promise<number> {
  if (connect === undefined) return startService(name);
  const known = await knownUnit(name);
  const isSame = known !== undefined && (known.unit === unit || isUsual(connect));
  return startService(name, isSame ? undefined : connect);
}

/** Whether systemd takes it without being told. Where no setting names one, it takes one of those of machines. */
function isUsual(uri: string): boolean {
  const usual = defaultUri()?.uri;
  return usual === undefined ? uri !== URI.lxc : uri === usual;
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
export async function refuseUriOfUnit(name: string, connect: string | undefined): Promise<void> {
  if (connect === undefined || (await knownUnit(name)) === undefined) return;
  const service = await ignoreSandboxError(loadService(serviceRoots(), name));
  if (service !== undefined && service.settings.connect === undefined) throw uriOfUnit(name, connect);
}

/** Starts services, each in a process that holds it, or by the host's systemd. */
import { join } from 'node:path';
import { URI } from '../../libvirt/connection.js';
import { DEFAULT_URI_VARIABLE, defaultUri } from '../../libvirt/default-uri.js';
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { uriOfUnit } from '../../service/run/errors.js';
import type { LastRun } from '../../service/run/last-run.js';
import { refuseHeld, untilUnitEnds } from '../../service/run/refuse-held.js';
import { hiddenUnit, oldUnit } from '../../service/taken-over.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { packageDirectory } from '../../util/programs.js';
import { HOLD_SERVICE } from '../hold/caller.js';
import { startHolder } from '../hold/start-holder.js';
import { pathsOfService } from './each-service.js';
import { tellOldUnit } from './old-unit.js';
import { askSystemd, knownUnit } from './systemctl.js';

/** Starts it over the URI that it ran over. @returns the exit status */
export async function startAgain(name: string, run: LastRun): Promise<number> {
  return startService(name, await uriAgain(name, run));
}

/**
 * Whether {@link startAgain} would start it, for those who stop it before.
 * @throws {SandboxError} `service-uri-of-unit`: it did not run over the URI that its unit has
 */
export async function checkStartAgain(name: string, run: LastRun): Promise<void> {
  await refuseUriOfUnit(name, await uriAgain(name, run));
}

/** Undefined: that need not be said. */
async function uriAgain(name: string, { connect, unit }: LastRun): Promise<string | undefined> {
  if (connect === undefined) return undefined;
  const known = await knownUnit(name);
  return known !== undefined && (known.unit === unit || isUsual(connect)) ? undefined : connect;
}

/**
 * Whether systemd takes it without being told: its services do not have the environment of a shell. Where no setting
 * names one, it takes one of those of machines.
 */
function isUsual(uri: string): boolean {
  const usual = defaultUri({ ...process.env, [DEFAULT_URI_VARIABLE]: '' })?.uri;
  return usual === undefined ? uri !== URI.lxc : uri === usual;
}

/**
 * @param connect the URI for one whose file names none
 * @returns the exit status
 */
export async function startService(name: string, connect?: string): Promise<number> {
  const { life } = pathsOfService(name);
  await refuseHeld(name, life);
  const unit = await knownUnit(name);
  const old = oldUnit(serviceRoots().scope, name);
  if (unit !== undefined) {
    if (old !== undefined) throw hiddenUnit(name, old);
    await refuseUriOfUnit(name, connect);
    await untilUnitEnds(name, life, unit.unit);
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

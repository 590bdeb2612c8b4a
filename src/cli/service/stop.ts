/** virt-sandbox-service stop: ends services. */
import { MOST_TIMEOUT_MS } from '../../control/requests.js';
import { forgetStop } from '../../service/clone/stop-record.js';
import { loadService } from '../../service/file.js';
import { serviceRoots } from '../../service/paths.js';
import { stopTooLong } from '../../service/run/errors.js';
import { lifeOf } from '../../service/run/status.js';
import { stopHolder } from '../../service/run/talk.js';
import type { SystemdUnit } from '../../service/run/under-systemd.js';
import { DEFAULT_SETTINGS } from '../../service/types.js';
import { ignoreSandboxError } from '../../util/errors.js';
import { optionMs } from '../ctl/times.js';
import { type ServiceArguments, textOf, usageError } from './arguments.js';
import { forEachService, pathsOfService } from './each-service.js';
import { askSystemd, knownUnit } from './systemctl.js';

/** One that does not run is passed over. */
export async function stop(args: ServiceArguments): Promise<number> {
  const timeout = stopTimeout(args, 'stop');
  return forEachService(args, async (name) => {
    await stopService(name, timeout);
    // It is to stay so, whatever a clone had in mind.
    await forgetStop(pathsOfService(name));
    return 0;
  });
}

/** @returns milliseconds; undefined: what the service says. @throws {SandboxError} `usage` */
export function stopTimeout(args: ServiceArguments, command: 'stop' | 'restart'): number | undefined {
  const fail = (message: string) => usageError(message, command);
  return optionMs(textOf(args, 'time'), '--time', fail, { least: 0, most: MOST_TIMEOUT_MS });
}

/**
 * Stops a service, by systemd if that holds it. systemd knows of no longer time than the service's own.
 * @throws {SandboxError} `service-not-found`, `service-not-answering`, `service-unit-failed`, `service-stop-too-long`
 */
export async function stopService(name: string, timeout: number | undefined): Promise<void> {
  const { unit, most } = holding(name);
  if (unit !== undefined) {
    if (timeout !== undefined && timeout > most) throw stopTooLong(name, most);
    // Systemd does not start it again, and the holder takes the time that is asked for.
    const asked = timeout === undefined ? undefined : stopHolder(name, timeout);
    await Promise.all([askSystemd(unit, 'stop'), asked]);
    return;
  }
  await stopHolder(name, timeout ?? (await ownTimeout(name)));
  // It has ended, and systemd may be about to start it again. A holder that has just begun has not said yet whose it is.
  const idle = await knownUnit(name);
  if (idle !== undefined) await askSystemd(idle, 'stop');
}

/** How a service is held now. @throws {SandboxError} `service-not-found` */
function holding(name: string): { unit?: SystemdUnit; most: number } {
  const {
    pid,
    unit,
    manager = 'system',
    stopTimeout: most = DEFAULT_SETTINGS.stopTimeout,
  } = lifeOf(name, pathsOfService(name));
  return { most, ...(pid === undefined || unit === undefined ? {} : { unit: { unit, manager } }) };
}

/** Its file may be wrong by now. */
async function ownTimeout(name: string): Promise<number> {
  const service = await ignoreSandboxError(loadService(serviceRoots(), name));
  return (service?.settings ?? DEFAULT_SETTINGS).stopTimeout;
}

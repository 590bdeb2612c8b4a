/** virt-sandbox-service start and restart. */
import { stopLeft } from '../../service/clone/stop-record.js';
import { followRun, type LastRun } from '../../service/run/last-run.js';
import { type ServiceArguments, textOf } from './arguments.js';
import { forEachService, pathsOfService } from './each-service.js';
import { checkStartAgain, refuseUriOfUnit, startAgain, startService } from './start-service.js';
import { stopService, stopTimeout } from './stop.js';

/** A service that systemd has a unit for is started by systemd. */
export async function start(args: ServiceArguments): Promise<number> {
  const connect = textOf(args, 'connect');
  return forEachService(args, (name) =>
    connect === undefined ? startAgain(name, runLeft(name) ?? {}) : startService(name, connect),
  );
}

export async function restart(args: ServiceArguments): Promise<number> {
  const timeout = stopTimeout(args, 'restart');
  const connect = textOf(args, 'connect');
  return forEachService(args, async (name) => {
    const left = runLeft(name);
    const run = left === undefined ? followRun(name, pathsOfService(name).life) : () => left;
    await (connect === undefined ? checkStartAgain(name, run()) : refuseUriOfUnit(name, connect));
    await stopService(name, timeout);
    return connect === undefined ? startAgain(name, run()) : startService(name, connect);
  });
}

/** How it ran until it was stopped to be copied, by a process that was killed; undefined: it was not. */
function runLeft(name: string): LastRun | undefined {
  return stopLeft({ name, life: pathsOfService(name).life })?.ran;
}

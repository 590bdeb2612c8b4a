/** Holds a service in a process of its own: `start`. Another process, which has started this one, waits until it is ready. */
import { serviceRoots } from '../../service/paths.js';
import { HeldService } from '../../service/run/held-service.js';
import { settlesWithin } from '../../util/promises.js';
import { HOLD_SERVICE, observersFor } from '../hold/caller.js';
import { Caller, collectGarbage } from '../hold/held.js';
import { failureOf } from '../program.js';
import { programName } from '../program-name.js';
import { sayPorts } from '../sandbox/say-ports.js';
import { endOnSignal } from './end-on-signal.js';

/** How long the last line of the log may take, in milliseconds. */
const LAST_WORDS_MS = 2000;

/** @returns the exit status for this process */
export async function holdService(): Promise<number> {
  // Its terminal may go, and with it whoever started it.
  process.on('SIGHUP', () => {});
  const caller = new Caller(HOLD_SERVICE);
  try {
    return await holdFor(caller);
  } catch (error) {
    const failed = failureOf(programName(), error);
    caller.tell({ failed });
    await caller.end();
    return failed.status;
  }
}

async function holdFor(caller: Caller): Promise<number> {
  const [name = '', connect] = await caller.words();
  // Let no file system be held that only the caller had a use for.
  process.chdir('/');
  const launch = observersFor({ verbose: false, debug: false, initDebug: false }, (message) => caller.tell(message));
  const held = await HeldService.hold(serviceRoots(), name, {
    launch: { ...launch, connect },
    lock: { signal: caller.gone },
    onPhase: (phase, { sandbox }) => {
      if (phase === 'running' && sandbox) sayPorts(sandbox, (note) => caller.tell({ note }), undefined);
    },
  });
  endOnSignal(held, ['SIGTERM', 'SIGINT']);
  const giveUp = () => void held.stop();
  caller.gone.addEventListener('abort', giveUp, { once: true });
  if (caller.gone.aborted) giveUp();
  logUncaught(held);
  await held.ready();
  if (!(await caller.takes(name))) {
    await held.stop();
    await held.ended;
    return 0;
  }
  await collectGarbage();
  return (await held.ended).status;
}

/** An error that nothing has caught ends this process, whose stderr nobody reads, and with it the service. */
function logUncaught(held: HeldService): void {
  process.once('uncaughtException', (error) => {
    void settlesWithin(held.logFailure(error), LAST_WORDS_MS).then(() => process.exit(125));
  });
}

/** Tells the host's systemd what a service does that this process holds. */
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { endText } from '../../service/run/end.js';
import type { Health } from '../../service/run/health.js';
import type { HoldOptions } from '../../service/run/held-service.js';
import type { PhaseFacts } from '../../service/run/observer.js';
import type { Notifier } from '../../service/systemd/notify.js';

/** A small file that every kernel has. */
const SIGN = { op: 'readFile', path: '/proc/uptime', limit: 4096 } as const;

/** Looks that have no answer yet: of a guest that hangs, while systemd lets it, there are no more. */
const MOST_WAITING = 8;

/** What is told, for `HeldService.hold`. */
export function tellSystemd(notifier: Notifier): Required<Pick<HoldOptions, 'onPhase' | 'onHealth'>> {
  let watch: NodeJS.Timeout | undefined;
  return {
    onPhase: (phase, { sandbox, pause, end }) => {
      clearInterval(watch);
      if (phase === 'starting') void notifier.status('starting');
      else if (phase === 'running' && sandbox !== undefined) {
        void notifier.ready({ status: 'running' });
        watch = watchOver(sandbox, pause, notifier);
      } else if (phase === 'stopping') void notifier.stopping('stopping');
      else if (end !== undefined) void notifier.status(endText(end));
    },
    onHealth: ({ isWell, failures, said }: Health) => {
      if (failures > 0) void notifier.status(`running, ${isWell ? 'healthy' : 'unhealthy'}: ${said ?? ''}`);
      else void notifier.status('running, healthy');
    },
  };
}

/**
 * A sign of life of the guest is one of the service. One that is held still, as while it is cloned, cannot give any. No
 * look waits for another: a guest that takes long for one may answer the next, and what it answers late counts then.
 */
function watchOver(sandbox: Sandbox, pause: PhaseFacts['pause'], notifier: Notifier): NodeJS.Timeout | undefined {
  const interval = notifier.watchdogInterval;
  if (interval === undefined) return undefined;
  const { channel } = sandbox.launched;
  let waiting = 0;
  const look = async () => {
    if (pause?.isHeld === true) return notifier.watchdog();
    if (waiting === MOST_WAITING) return;
    waiting += 1;
    try {
      if (await answers(channel)) await notifier.watchdog();
    } finally {
      waiting -= 1;
    }
  };
  return setInterval(() => void look(), interval).unref();
}

/** @returns false: the sandbox has ended */
async function answers(channel: Pick<Channel, 'call'>): Promise<boolean> {
  try {
    await channel.call(SIGN, { tolerate: true });
    return true;
  } catch (error) {
    return error instanceof OperationError;
  }
}

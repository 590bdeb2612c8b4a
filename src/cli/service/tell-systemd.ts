/** Tells the host's systemd what a service does that this process holds. */
import type { Sandbox } from '../../sandbox/sandbox.js';
import { endText } from '../../service/run/end.js';
import type { Health } from '../../service/run/health.js';
import type { HoldOptions } from '../../service/run/held-service.js';
import type { PhaseFacts } from '../../service/run/runner.js';
import type { Notifier } from '../../service/systemd/notify.js';
import { settlesWithin } from '../../util/promises.js';

/** A small file that every kernel has. */
const SIGN = { op: 'readFile', path: '/proc/uptime', limit: 4096 } as const;

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

/** A sign of life of the guest is one of the service. One that is held still, as while it is cloned, cannot give any. */
function watchOver(sandbox: Sandbox, pause: PhaseFacts['pause'], notifier: Notifier): NodeJS.Timeout | undefined {
  const interval = notifier.watchdogInterval;
  if (interval === undefined) return undefined;
  const { channel } = sandbox.launched;
  const look = async () => {
    const isHeld = () => pause?.isHeld === true;
    const isAlive = isHeld() || (await settlesWithin(channel.call(SIGN, { tolerate: true }), interval)) || isHeld();
    if (isAlive) await notifier.watchdog();
  };
  return setInterval(() => void look(), interval).unref();
}

/** Whether the host's systemd has started this process. */
import { readIfThere } from '../../util/small-files.js';

export interface SystemdUnit {
  readonly unit: string;
  readonly manager: 'system' | 'user';
}

/**
 * The unit whose main process this is. A process that another one of a unit has started is none: systemd says for whom
 * its variables are.
 */
export function ownUnit(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid = process.pid,
  groups = readIfThere('/proc/self/cgroup') ?? '',
): SystemdUnit | undefined {
  if (environment['SYSTEMD_EXEC_PID'] !== String(pid)) return undefined;
  const [, path = ''] = /^0::(.*)$/m.exec(groups) ?? [];
  const unit = path.split('/').findLast((part) => part.endsWith('.service'));
  if (unit === undefined) return undefined;
  // The systemd of a user tells those that it starts who it is.
  return { unit, manager: environment['MANAGERPID'] === undefined ? 'system' : 'user' };
}

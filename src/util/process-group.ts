/** The processes of a program that was started with a process group of its own. */
import { readdirSync, readFileSync } from 'node:fs';
import { isSystemError, valueOr } from './errors.js';

/** Ids of the processes in a group. */
export function groupMembers(group: number): number[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.map(Number).filter((id) => groupOf(id) === group);
}

/** proc_pid_stat(5): the name in parentheses may have anything in it; behind it come state, parent and group. */
function groupOf(id: number): number | undefined {
  const stat = valueOr(() => readFileSync(`/proc/${id}/stat`, 'latin1'), '');
  const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || group === undefined ? undefined : Number(group);
}

/** Sends a signal to those that are still there. */
export function signalAll(ids: readonly number[], signal: NodeJS.Signals): void {
  for (const id of ids)
    try {
      process.kill(id, signal);
    } catch (error) {
      // One that became another user's is not ours to end.
      if (!isSystemError(error, 'ESRCH') && !isSystemError(error, 'EPERM')) throw error;
    }
}

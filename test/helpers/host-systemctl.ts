/** What programs that run under the systemd of a sandbox ask of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks, in milliseconds: a program that starts takes long here. */
export const LOOK_MS = 300;

/** What `systemctl show` says of a unit. */
export type Facts = Readonly<Record<(typeof PROPERTIES)[number], string>>;

const PROPERTIES = [
  'LoadState',
  'UnitFileState',
  'SourcePath',
  'ActiveState',
  'SubState',
  'Result',
  'NRestarts',
  'MainPID',
  'ExecMainStatus',
  'StatusText',
  'NotifyAccess',
  'WatchdogUSec',
] as const;

/** The unit of a service. */
export const unit = (name: string) => `${name}_sandbox.service`;

export function systemctl(...words: readonly string[]): string {
  return execFileSync('systemctl', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

export function facts(name: string): Facts {
  const lines = systemctl('show', `--property=${PROPERTIES.join(',')}`, unit(name))
    .trimEnd()
    .split('\n');
  return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)])) as Facts;
}

/**
 * Waits until the facts are so; the time limit of the host's sandbox ends that.
 * @throws a unit has failed for good, which does not get so any more
 */
export async function until(name: string, holds: (facts: Facts) => boolean): Promise<Facts> {
  for (;;) {
    const found = facts(name);
    if (holds(found)) return found;
    assert.notEqual(found.SubState, 'failed', JSON.stringify(found));
    await sleep(LOOK_MS);
  }
}

/** Waits until it is active after one more start, which may take more than one on a busy host. */
export const startedAgain = (name: string, { NRestarts, MainPID }: Facts): Promise<Facts> =>
  until(name, (now) => Number(now.NRestarts) > Number(NRestarts) && now.MainPID !== MainPID && isActive(now));

export const isActive = ({ ActiveState }: Facts) => ActiveState === 'active';

/** What systemd has said, which is told to the kernel here. */
export function saidOf(text: string): string {
  const log = execFileSync('dmesg', { encoding: 'utf8' });
  return log
    .split('\n')
    .filter((line) => line.includes(text))
    .join('\n');
}

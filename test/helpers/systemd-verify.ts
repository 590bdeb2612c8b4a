/** What systemd says of unit files, without one that runs. */
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { unlessProgram } from './images.js';

/** A reason to skip, or false if there is systemd-analyze. */
export const unlessSystemd = unlessProgram('systemd-analyze');

/** @returns what `systemd-analyze verify` has to say of unit files: nothing if they are right */
export function verifyUnits(paths: readonly string[], scope: 'system' | 'user' = 'system'): string {
  const words = ['verify', `--${scope}`, '--man=no', '--recursive-errors=no', '--', ...paths];
  const env = { ...process.env, XDG_RUNTIME_DIR: tmpdir() };
  const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8', env });
  return `${status === 0 ? '' : `exit status ${status}\n`}${stdout}${stderr}`;
}

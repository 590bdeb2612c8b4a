/** The daemon of a user's session. Whoever wants to talk to it starts it, and it ends when nobody has for a while. */
import { spawn } from 'node:child_process';
import { findInPath, searchPath } from '../util/programs.js';

/** Programs that are one, the first that is installed. */
const DAEMONS = ['virtqemud', 'libvirtd'];

/** How long it stays when nobody is connected and nothing runs, in seconds: as libvirt's own programs have it. */
const IDLE_SECONDS = 120;

/**
 * Starts one; it does not listen yet. Where one runs already it ends at once, since the other one holds its PID file.
 * @returns false if none is installed
 */
export function startSessionDaemon(): boolean {
  const program = DAEMONS.map(findInPath).find((path) => path !== undefined);
  if (program === undefined) return false;
  const daemon = spawn(program, [`--timeout=${IDLE_SECONDS}`], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, PATH: searchPath() },
  });
  // Nobody will listen then, which is an error of its own.
  daemon.on('error', () => {});
  daemon.unref();
  return true;
}

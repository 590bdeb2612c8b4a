/** The daemon of a user's session. Whoever wants to talk to it starts it, and it ends when nobody has for a while. */
import { spawn } from 'node:child_process';
import { findInPath, searchPath } from '../util/programs.js';

/** Programs that are one, the first that is installed. */
const DAEMONS = ['virtqemud', 'libvirtd'];

/** How long it stays when nobody is connected and nothing runs, in seconds: as libvirt's own programs have it. */
const IDLE_SECONDS = 120;

/**
 * What it gets of the environment, as from libvirt's own programs: it serves others too, and outlives this process. Its
 * messages are matched, so it has a locale of its own.
 */
const PASSED_ON = [
  'HOME',
  'USER',
  'LOGNAME',
  'TMPDIR',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_RUNTIME_DIR',
];
const LOCALE = 'C.UTF-8';

/** A daemon that was started, and may not listen yet. */
export interface StartedDaemon {
  readonly program: string;
  /** How it ended; undefined: it runs. One ends at once where another one runs, which holds its PID file. */
  readonly end: () => string | undefined;
}

/** @returns undefined if none is installed, or LIBVIRT_AUTOSTART=0 forbids it */
export function startSessionDaemon(): StartedDaemon | undefined {
  const program = DAEMONS.map(findInPath).find((path) => path !== undefined);
  if (program === undefined || process.env['LIBVIRT_AUTOSTART'] === '0') return undefined;
  const own = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]));
  const daemon = spawn(program, [`--timeout=${IDLE_SECONDS}`], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
    env: { ...own, PATH: searchPath(), LC_ALL: LOCALE },
  });
  let end: string | undefined;
  daemon.on('error', ({ message }) => {
    end = message;
  });
  daemon.on('exit', (status, signal) => {
    end = signal === null ? `it ended with status ${status}` : `${signal} ended it`;
  });
  daemon.unref();
  return { program, end: () => end };
}

/** Programs that tests run. */
import { fileURLToPath } from 'node:url';

/**
 * How a script of a shell waits for its signals. dash runs a trap only when the program in front has ended, and on a
 * busy host even a short one may take longer than a launcher gives the command to end. `wait` ends at once. The signals
 * are for all of the group, which the program behind is not in: without it, `wait` would not wait.
 */
export const IDLE = 'setsid sleep 1000 >/dev/null 2>&1 & while :; do wait; done';

/** The path of the compiled helper `name` of this directory. */
export function programOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}

/** The command that resolves an image and prints the result as JSON; see build-image.ts. */
export function buildCommand(options: object): [string, ...string[]] {
  return [process.execPath, programOf('build-image'), JSON.stringify(options)];
}

/** The same as another user; the caller must be root. */
export function buildAs(user: string, options: object): [string, ...string[]] {
  return ['setpriv', `--reuid=${user}`, '--regid=nogroup', '--clear-groups', ...buildCommand(options)];
}

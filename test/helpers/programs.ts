/** Helpers that tests run as processes. */
import { fileURLToPath } from 'node:url';

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

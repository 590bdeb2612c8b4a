/** The environment of the application. */
import type { GuestConfig } from './config.js';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What says who the user is. */
export function namesOf({ home, username }: GuestConfig['identity']): Record<string, string> {
  return { HOME: home, USER: username, USERNAME: username, LOGNAME: username };
}

/** As KEY=VALUE: PATH, HOME, the user's names and, with a terminal, TERM; then the config's own, which win. */
export function environmentOf({ identity, terminal, environment }: GuestConfig): string[] {
  const variables = new Map(Object.entries({ PATH: DEFAULT_PATH, ...namesOf(identity) }));
  if (terminal) variables.set('TERM', terminal.type);
  for (const { key, value } of environment) variables.set(key, value);
  return [...variables].map(([key, value]) => `${key}=${value}`);
}

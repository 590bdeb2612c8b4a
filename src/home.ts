/** The home directory of this user. */
import { homedir, userInfo } from 'node:os';
import { isAbsolute } from 'node:path';
import { isSystemError, SandboxError } from './errors.js';

/**
 * HOME where it is an absolute path, else what the user database says: an empty HOME would make paths below it relative.
 * @param instead the variable that would make the home needless
 * @throws {SandboxError} `home-unknown`
 */
export function homeDirectory(instead: 'XDG_CACHE_HOME' | 'XDG_CONFIG_HOME' | 'XDG_DATA_HOME'): string {
  const home = homedir();
  if (isAbsolute(home)) return home;
  try {
    const { homedir: listed } = userInfo();
    if (isAbsolute(listed)) return listed;
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
  throw new SandboxError({
    stage: 'config',
    code: 'home-unknown',
    message: `this user has no home directory: HOME is ${JSON.stringify(home)}, and the user database has none`,
    remedy: `set HOME to an absolute path, or ${instead}`,
  });
}

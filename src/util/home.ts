/** The home directory of this user, and those that are in it unless a variable says otherwise. */
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { isSystemError, SandboxError } from './errors.js';

const BASE_DIRECTORIES = {
  XDG_CACHE_HOME: '.cache',
  XDG_CONFIG_HOME: '.config',
  XDG_DATA_HOME: join('.local', 'share'),
} as const;
type BaseVariable = keyof typeof BASE_DIRECTORIES;

/**
 * The directory that `variable` of the XDG Base Directory Specification means. A relative path is to be ignored, it says.
 * @throws {SandboxError} `home-unknown`
 */
export function baseDirectory(variable: BaseVariable, environment: NodeJS.ProcessEnv = process.env): string {
  const path = environment[variable];
  return path !== undefined && isAbsolute(path) ? path : join(homeDirectory(variable), BASE_DIRECTORIES[variable]);
}

/**
 * HOME where it is an absolute path, else what the user database says: an empty HOME would make paths below it relative.
 * @param instead the variable that would make the home needless
 * @throws {SandboxError} `home-unknown`
 */
export function homeDirectory(instead: BaseVariable): string {
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

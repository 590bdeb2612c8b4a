/** The user's home directory, and the base directories of the XDG specification. */
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { isSystemError, SandboxError } from './errors.js';
import { othersWhoMayReplace } from './ownership.js';

const BASE_DIRECTORIES = {
  XDG_CACHE_HOME: '.cache',
  XDG_CONFIG_HOME: '.config',
  XDG_DATA_HOME: join('.local', 'share'),
} as const;
type BaseVariable = keyof typeof BASE_DIRECTORIES;

/**
 * A directory of the XDG Base Directory Specification. As the specification says, a relative path in the variable is
 * ignored.
 *
 * Root keeps there what it boots. So root uses none that another user could change, as `su` and `sudo -E` pass one on.
 *
 * @throws {SandboxError} `home-unknown`, `directory-not-roots`
 */
export function baseDirectory(variable: BaseVariable, environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment[variable];
  const isGiven = given !== undefined && isAbsolute(given);
  const path = isGiven ? given : join(homeDirectory(variable), BASE_DIRECTORIES[variable]);
  refuseOthers(path, isGiven ? variable : 'HOME');
  return path;
}

function refuseOthers(path: string, variable: string): void {
  const other = whoElseMayChange(path);
  if (other === undefined) return;
  const remedy = variable === 'HOME' ? 'set HOME to that of root' : `unset ${variable}, or name a directory of root's`;
  throw notRoots(`${variable} has root keep its files in ${path}, and ${other}`, remedy);
}

/**
 * Refuses that root uses what another user could change, because a variable names it: `sudo -E` passes one on.
 * @param path an absolute path
 * @throws {SandboxError} `directory-not-roots`
 */
export function refuseIfNotRoots(path: string, variable: string): void {
  const other = whoElseMayChange(path);
  if (other === undefined) return;
  throw notRoots(`${variable} has root use ${path}, and ${other}`, `unset ${variable}, or let it name what is root's`);
}

/** Undefined: nobody, or this is not root. */
function whoElseMayChange(path: string): string | undefined {
  return process.geteuid?.() === 0 ? othersWhoMayReplace(path) : undefined;
}

function notRoots(message: string, remedy: string): SandboxError {
  return new SandboxError({ stage: 'config', code: 'directory-not-roots', message, remedy });
}

/**
 * The user's home directory: HOME if it is an absolute path, else the one in the user database. Paths below an empty
 * HOME would be relative.
 *
 * @param instead The variable that the user can set instead of HOME, for the remedy.
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

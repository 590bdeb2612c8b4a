/** Finds running sandboxes by their state directories. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError } from '../../util/errors.js';
import { ROOT_STATE } from './alias.js';
import { ownerLives, stateBase } from './state-directory.js';

export interface RunningSandbox {
  readonly name: string;
  readonly stateDirectory: string;
}

/**
 * The running sandbox `name`, of this user or, for root, of any user.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`
 */
export function findRunning(name: string): RunningSandbox {
  const bases = basesOf();
  const found = isName(name) ? bases.map((base) => join(base, name)).find(runs) : undefined;
  if (found !== undefined) {
    if (mayEnter(found)) return { name, stateDirectory: found };
    throw new SandboxError({
      stage: 'application',
      code: 'not-yours',
      message: `the sandbox ${name} is another user's`,
      remedy: 'attach as the user who started it, or as root',
    });
  }
  const names = bases.flatMap(namesIn);
  throw new SandboxError({
    stage: 'application',
    code: 'sandbox-not-found',
    message: `no sandbox called ${JSON.stringify(name)} runs`,
    remedy:
      names.length === 0
        ? 'none of yours runs; start one with --shell'
        : `these run: ${[...new Set(names)].join(', ')}`,
  });
}

/** Whether `name` can be one directory entry. */
function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Directories to look in: this user's, then root's; for root also those of every user in /etc/passwd. */
function basesOf(): string[] {
  const own = stateBase();
  if (process.getuid?.() !== 0) return [own, ROOT_STATE];
  const homes = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':')[5] ?? '')
    .filter((home) => home.startsWith('/') && home !== '/');
  return [own, ...new Set(homes.map((home) => join(home, '.cache/libvirt-sandbox')))];
}

function runs(stateDirectory: string): boolean {
  try {
    return statSync(stateDirectory).isDirectory() && ownerLives(stateDirectory);
  } catch (error) {
    // A directory that this user may not read is another user's.
    if (isSystemError(error)) return false;
    throw error;
  }
}

/** Whether this user is its owner, or root. */
function mayEnter(stateDirectory: string): boolean {
  const uid = process.getuid?.();
  return uid === 0 || statSync(stateDirectory).uid === uid;
}

function namesIn(base: string): string[] {
  try {
    return readdirSync(base).filter((name) => runs(join(base, name)) && mayEnter(join(base, name)));
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}

/**
 * Where the pools of the shell are: each has a directory of its own beside those of sandboxes, for as long as its holder
 * lives. Making it claims the name.
 */
import { chmodSync, closeSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError, valueOr } from '../../util/errors.js';
import { ROOT_STATE } from './alias.js';
import { openBelow } from './open-below.js';
import {
  claimState,
  isLeft,
  ownerLives,
  ownerText,
  releaseState,
  removeStale,
  type StateDirectory,
  stateBase,
} from './state-directory.js';

/** What the name of their directory has behind that of the directories of sandboxes. */
const BESIDE = '-pools';

/** Where a user's pools are, below the home. */
const USERS_POOLS = ['.cache', `libvirt-sandbox${BESIDE}`];

/** Names of directories that are being made, or removed, and of the lock. */
const IN_BETWEEN = /^\./;

export interface FoundPool {
  readonly name: string;
  readonly directory: string;
}

interface User {
  readonly uid: number;
  readonly home: string;
}

function poolBase(): string {
  return `${stateBase()}${BESIDE}`;
}

/**
 * Claims the name of a pool by making its directory, which no other user may enter.
 * @throws {SandboxError} `pool-exists`, `pool-name-invalid`, `name-too-long`, `state-not-writable`
 */
export function claimPool(name: string): Pick<StateDirectory, 'path' | 'owner'> {
  if (!isPoolName(name)) throw nameError(name);
  try {
    const state = claimState(name, 'session', poolBase());
    chmodSync(state.path, 0o700);
    removeDead();
    return state;
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== 'name-in-use') throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'pool-exists',
      message: `there is a pool called ${JSON.stringify(name)} already`,
      remedy: 'choose another name, or end that pool first: virt-sandbox-ctl pool rm',
      cause: error,
    });
  }
}

/** Removes the directory of a pool that has ended. */
export function releasePool(state: Pick<StateDirectory, 'path' | 'owner'>): void {
  releaseState(state);
}

/**
 * The pool of that name of this user.
 * @throws {SandboxError} `pool-not-found`, `not-yours`
 */
export function findPool(name: string): FoundPool {
  if (isPoolName(name)) {
    const own = join(poolBase(), name);
    if (isHeld(own)) return { name, directory: own };
    const roots = join(`${ROOT_STATE}${BESIDE}`, name);
    if (process.getuid?.() !== 0 && isHeld(roots)) throw notYours(name);
  }
  const names = findPools().map((pool) => pool.name);
  throw new SandboxError({
    stage: 'application',
    code: 'pool-not-found',
    message: `there is no pool called ${JSON.stringify(name)}`,
    remedy:
      names.length === 0
        ? 'create one: virt-sandbox-ctl pool create NAME --size 2'
        : `name one of these: ${names.join(', ')}; or create it: virt-sandbox-ctl pool create NAME --size 2`,
  });
}

/** The pools of this user, by name. */
export function findPools(): FoundPool[] {
  removeDead();
  const base = poolBase();
  return namesIn(base)
    .map((name) => ({ name, directory: join(base, name) }))
    .filter(({ directory }) => isHeld(directory));
}

/**
 * Who holds pools, as {@link ownerText} names them: what they have without a record waits in a pool.
 * @param user for root: another one
 */
export function poolHolders(user?: User): ReadonlySet<string> {
  if (user === undefined) {
    const base = poolBase();
    return new Set(namesIn(base).map((name) => ownerText(join(base, name)) ?? ''));
  }
  const holders = valueOr(() => {
    const names = below(user, [], namesIn);
    return new Set(names.map((name) => valueOr(() => below(user, [name], ownerText), undefined) ?? ''));
  }, undefined);
  return holders ?? new Set();
}

/**
 * The result of `read` in a directory below the pools of a user, who may put a link there at any moment.
 * @throws a system error
 */
function below<T>({ uid, home }: User, path: readonly string[], read: (directory: string) => T): T {
  const fd = openBelow(uid, home, [...USERS_POOLS, ...path]);
  try {
    return read(`/proc/self/fd/${fd}`);
  } finally {
    closeSync(fd);
  }
}

function namesIn(base: string): string[] {
  return valueOr(() => readdirSync(base).filter(isPoolName), []).sort();
}

/** Whether it can be one directory entry, and is no hidden one. */
function isPoolName(name: string): boolean {
  return name !== '' && !IN_BETWEEN.test(name) && !/[/\0]/.test(name);
}

/** Removes the directories of pools whose holders were killed. They have nothing that runs. */
function removeDead(): void {
  const base = poolBase();
  for (const path of namesIn(base).map((name) => join(base, name))) {
    try {
      if (isLeft(path)) removeStale(path);
    } catch {
      // One that cannot be removed is in nobody's way.
    }
  }
}

function isHeld(directory: string): boolean {
  try {
    return statSync(directory).isDirectory() && ownerLives(directory);
  } catch (error) {
    if (isSystemError(error)) return false;
    throw error;
  }
}

function nameError(name: string): SandboxError {
  return new SandboxError({
    stage: 'arguments',
    code: 'pool-name-invalid',
    message: `a pool cannot be called ${JSON.stringify(name)}`,
    remedy: 'choose a name without a slash that does not begin with a full stop',
  });
}

function notYours(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'not-yours',
    message: `the pool ${JSON.stringify(name)} is another user's`,
    remedy: 'create one of your own: virt-sandbox-ctl pool create NAME --size 2',
  });
}

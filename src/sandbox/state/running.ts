/** Finds running sandboxes by their state directories. */
import { closeSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, SandboxError, valueOr } from '../../util/errors.js';
import { ROOT_STATE } from './alias.js';
import { openBelow } from './open-below.js';
import { ownerLives, stateBase } from './state-directory.js';

/** Names of directories that are being made, or removed. */
const IN_BETWEEN = /^\.(claim|stale)-/;

/** Where a user's state directories are, below the home. */
const USERS_STATE = ['.cache', 'libvirt-sandbox'];

export interface RunningSandbox {
  readonly name: string;
  readonly stateDirectory: string;
  /** The user whose it is, if root is to attach to it. That user may change all of `below` at any moment. */
  readonly user?: { readonly uid: number; readonly home: string; readonly below: readonly string[] };
}

/**
 * The running sandbox `NAME` of this user, or `USER/NAME`. Root's own are not mixed up with those of users, who choose
 * any name they like.
 * @throws {SandboxError} `sandbox-not-found`, `not-yours`, `user-unknown`
 */
export async function findRunning(called: string): Promise<RunningSandbox> {
  const [user = '', ...rest] = called.split('/');
  if (rest.length === 0) return findOwn(called);
  const name = rest.join('/');
  if (!isName(user) || !isName(name)) throw notFound(called, 'name a sandbox as NAME or USER/NAME');
  const { userIdentity } = await import('../../config/identity.js');
  const { uid, home } = await userIdentity(user);
  const caller = process.getuid?.();
  if (uid === caller) return findOwn(name);
  if (caller !== 0) throw notYours(called);
  const below = [...USERS_STATE, name];
  return { name, stateDirectory: join(home, ...below), user: { uid, home, below } };
}

/** The running sandboxes of this user. */
export function findAll(): RunningSandbox[] {
  return basesOf().flatMap((base) => namesIn(base).map((name) => ({ name, stateDirectory: join(base, name) })));
}

/** The running sandboxes of another user, for root. That user may put anything there meanwhile. */
export function findAllOf({ uid, home }: { readonly uid: number; readonly home: string }): RunningSandbox[] {
  return (
    below(uid, home, [], (directory) => namesOf(directory))?.flatMap((name) => {
      const lives = below(uid, home, [name], ownerLives);
      const path = [...USERS_STATE, name];
      return lives ? [{ name, stateDirectory: join(home, ...path), user: { uid, home, below: path } }] : [];
    }) ?? []
  );
}

/** The result of `read` in a directory below the state directories of another user; undefined if it is not theirs. */
function below<T>(uid: number, home: string, path: readonly string[], read: (directory: string) => T): T | undefined {
  return valueOr(() => {
    const fd = openBelow(uid, home, [...USERS_STATE, ...path]);
    try {
      return read(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }, undefined);
}

function findOwn(name: string): RunningSandbox {
  const bases = basesOf();
  const found = isName(name) ? bases.map((base) => join(base, name)).find(runs) : undefined;
  if (found !== undefined) {
    if (mayEnter(found)) return { name, stateDirectory: found };
    throw notYours(name);
  }
  const names = bases.flatMap(namesIn);
  const others = process.getuid?.() === 0 ? '; for one of a user say USER/NAME' : '';
  throw notFound(
    name,
    (names.length === 0
      ? 'none of yours runs; start one: virt-sandbox --detach, or --shell for --attach'
      : `these run: ${[...new Set(names)].join(', ')}`) + others,
  );
}

function notYours(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'not-yours',
    message: `the sandbox ${name} is another user's`,
    remedy: 'attach as the user who started it, or as root with USER/NAME',
  });
}

function notFound(name: string, remedy: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-not-found',
    message: `no sandbox called ${JSON.stringify(name)} runs`,
    remedy,
  });
}

/** Whether `name` can be one directory entry. */
function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Directories to look in: this user's, then root's. */
function basesOf(): string[] {
  return [...new Set([stateBase(), ROOT_STATE])];
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

/** Whether this user is its owner, or root. Not if it has gone meanwhile. */
function mayEnter(stateDirectory: string): boolean {
  const uid = process.getuid?.();
  return uid === 0 || statSync(stateDirectory, { throwIfNoEntry: false })?.uid === uid;
}

function namesIn(base: string): string[] {
  return valueOr(() => namesOf(base).filter((name) => runs(join(base, name)) && mayEnter(join(base, name))), []);
}

function namesOf(base: string): string[] {
  return readdirSync(base).filter((name) => !IN_BETWEEN.test(name));
}

/**
 * The directory of the host that is a sandbox's home. A guest may put programs there that run with the rights of the
 * home's owner for whoever executes them (set-user-ID), and may open the directory itself to all. So another directory
 * above it has to keep others out, which the guest cannot reach.
 */
import { chmodSync, chownSync, lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { covers } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import { makeDirectories } from '../../util/directories.js';
import { messageOf, valueOr } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { homes } from './hidden-paths.js';

/** The bits that let the group, and others, do anything. With an access control list the group's are those of all. */
const OF_OTHERS = 0o077;
/** The bits that let them enter a directory. */
const OTHERS_ENTER = 0o011;

/**
 * Checks the directory. It may be missing.
 * @throws {SandboxError} `home-of-another`, `home-is-callers`, `home-not-directory`, `home-not-owned`, `home-open`,
 *   `home-source-unusable`
 */
export function checkHomeDirectory(config: SandboxConfig): void {
  if (config.home?.type !== 'directory') return;
  const { path } = config.home;
  const owner = ownerOf(config);
  try {
    refuseHomes(path, config);
    checkAbove(path);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) checkFound(path, found, owner);
  } catch (error) {
    throw unusable(path, error);
  }
}

/**
 * Makes the directory if it is missing, and those above it that are, for their owner alone.
 * @throws {SandboxError} as {@link checkHomeDirectory}
 */
export function makeHomeDirectory(config: SandboxConfig): void {
  if (config.home?.type !== 'directory') return;
  const { path } = config.home;
  checkHomeDirectory(config);
  try {
    if (makeDirectories(path, 0o700) !== undefined) {
      // With a umask that takes bits of the owner's.
      chmodSync(path, 0o700);
      if (process.geteuid?.() === 0) chownSync(path, config.identity.uid, config.identity.gid);
    }
  } catch (error) {
    throw unusable(path, error);
  }
  checkHomeDirectory(config);
}

/** Who owns what the guest writes there: root can give files away, anybody else is the owner of all of it. */
function ownerOf({ identity }: SandboxConfig): number {
  const caller = process.geteuid?.() ?? 0;
  if (caller === 0 || identity.uid === caller || identity.uid === 0) return caller === 0 ? identity.uid : caller;
  throw configError(
    'home-of-another',
    `files of a directory of this host belong to you, and the user inside is ${identity.username}`,
    `use ${option('home', 'tmp')}, or leave out ${option('identity')}`,
  );
}

/** A home that a guest may write to, with the keys in it, is not what anybody wants. */
function refuseHomes(path: string, { identity }: SandboxConfig): void {
  const real = (at: string) => valueOr(() => realpathSync(at), at);
  const own = [...homes(identity.home)].find((home) => covers(real(path), real(home)));
  if (own === undefined) return;
  throw configError(
    'home-is-callers',
    `${quote(path)} is or has in it the home directory ${own}, with its keys`,
    `name another directory, or use ${option('home', 'host')}`,
  );
}

/** The directories above it. Those that are missing will be made, and closed. */
function checkAbove(path: string): void {
  const writers = othersWhoMayReplace(dirname(path));
  if (writers !== undefined) throw open(path, writers);
  const above = existing(dirname(path));
  if (above === dirname(path) && !isClosed(realpathSync(above)))
    throw open(path, 'others can enter all directories above it, so that a guest could open it to them');
}

/** The directory, or the nearest above it that is there. */
function existing(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? existing(dirname(path)) : path;
}

/** Whether nobody else can enter a directory, or one above it. */
function isClosed(path: string): boolean {
  return (statSync(path).mode & OTHERS_ENTER) === 0 || (path !== '/' && isClosed(dirname(path)));
}

function checkFound(path: string, found: Stats, owner: number): void {
  if (!found.isDirectory()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no directory';
    throw configError('home-not-directory', `${quote(path)}, for the home, is ${what}`, 'name a directory itself');
  }
  if (found.uid !== owner) {
    throw configError(
      'home-not-owned',
      `${quote(path)}, for the home, belongs to user ${found.uid}, and not to ${owner}`,
      `name a directory of user ${owner}, or one that is not there yet`,
    );
  }
  if ((found.mode & OF_OTHERS) !== 0) throw open(path, 'its mode lets others in', `chmod 700 ${path}`);
}

function open(path: string, why: string, remedy?: string) {
  return configError(
    'home-open',
    `${quote(path)} cannot be the home, because ${why}`,
    remedy ?? `name one in a directory that only you can enter; missing ones are made so: ${dirname(path)}/NEW/home`,
  );
}

function unusable(path: string, error: unknown): unknown {
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error;
  return configError(
    'home-source-unusable',
    `${quote(path)} cannot be the home: ${messageOf(error)}`,
    'name a directory that you can make or enter',
    error,
  );
}

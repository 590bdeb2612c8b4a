/**
 * The directory of the host that is a sandbox's home. A guest may put programs there that run with the rights of the
 * home's owner for whoever executes them (set-user-ID), and may open the directory itself to all. So another directory
 * above it has to keep others out, which the guest cannot reach.
 */
import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { homeDirectory, isHomeMount } from '../../config/home.js';
import { covers } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import { inChain } from '../../util/directory-chain.js';
import { messageOf, valueOr } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { shellWord } from '../../util/shell-word.js';
import { homesOf } from './hidden-paths.js';

/** The bits that let the group, and others, do anything. With an access control list the group's are those of all. */
const OF_OTHERS = 0o077;
/** The bits that let the owner do all. */
const OF_OWNER = 0o700;
/** The bits that let others enter a directory. */
const OTHERS_ENTER = 0o011;

/**
 * Checks the directory. It may be missing.
 * @throws {SandboxError} `home-of-another`, `home-is-callers`, `home-in-share`, `home-not-directory`, `home-not-owned`,
 *   `home-open`, `home-closed`, `home-source-unusable`
 */
export function checkHomeDirectory(config: SandboxConfig): void {
  withErrors(config, (path, owner) => {
    checkAround(path, config);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined) checkFound(path, found, owner, () => readdirSync(path));
  });
}

/**
 * Makes the directory if it is missing, and those above it that are, for their owner alone.
 * @throws {SandboxError} as {@link checkHomeDirectory}
 */
export function makeHomeDirectory(config: SandboxConfig): void {
  checkHomeDirectory(config);
  withErrors(config, (path, owner) => {
    const above = existing(dirname(path));
    // Links above it are those of trusted users. What is made, and the directory itself, is reached without any.
    inChain(join(realpathSync(above), relative(above, path)), (directory) => {
      const { isMade, stats } = directory;
      if (!isMade) checkFound(path, stats, owner, () => readdirSync(directory.path));
      if (stats.uid !== owner) directory.give(config.identity.uid, config.identity.gid);
    });
  });
  checkHomeDirectory(config);
}

function withErrors(config: SandboxConfig, act: (path: string, owner: number) => void): void {
  const path = homeDirectory(config);
  if (path === undefined) return;
  const owner = ownerOf(config);
  try {
    act(path, owner);
  } catch (error) {
    throw unusable(path, error);
  }
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
  const own = [...homesOf(identity.home)].find((home) => covers(real(path), real(home)));
  if (own === undefined) return;
  throw configError(
    'home-is-callers',
    `${quote(path)} is or has in it the home directory ${own}, with its keys`,
    `name another directory, or use ${option('home', 'host')}`,
  );
}

function checkAround(path: string, config: SandboxConfig): void {
  refuseHomes(path, config);
  refuseShares(path, config);
  checkAbove(path);
}

/** The guest of this sandbox could put a link there, which libvirt would follow. */
function refuseShares(path: string, config: SandboxConfig): void {
  const above = existing(dirname(path));
  const real = join(realpathSync(above), relative(above, path));
  const share = config.mounts.find(
    (mount) =>
      mount.type === 'host-bind' &&
      !isHomeMount(config, mount) &&
      isAbove(mount.readOnly ? undefined : mount.source, real),
  );
  if (share === undefined) return;
  throw configError(
    'home-in-share',
    `${quote(path)} cannot be the home: it is in the directory that is mounted on ${share.target}, where the guest may replace it`,
    `name another directory, or make that mount read-only`,
  );
}

function isAbove(directory: string | undefined, path: string): boolean {
  if (directory === undefined) return false;
  const real = valueOr(() => realpathSync(directory), directory);
  return covers(real, path) && !covers(path, real);
}

/** The directories above it. Those that are missing will be made, and closed. */
function checkAbove(path: string): void {
  const writers = othersWhoMayReplace(dirname(path));
  if (writers !== undefined) {
    const remedy = 'name one in a directory that only you may write to, as ~/boxes/home';
    throw open(path, `others could replace it: ${writers}`, remedy);
  }
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

function checkFound(path: string, found: Stats, owner: number, list: () => readonly string[]): void {
  if (!found.isDirectory()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no directory';
    throw configError('home-not-directory', `${quote(path)}, for the home, is ${what}`, 'name a directory itself');
  }
  if (found.uid !== owner && !isUngiven(found, list)) {
    throw configError(
      'home-not-owned',
      `${quote(path)}, for the home, belongs to user ${found.uid}, and not to ${owner}`,
      `name a directory of user ${owner}, or one that is not there yet`,
    );
  }
  const remedy = `chmod 700 ${shellWord(path)}`;
  if ((found.mode & OF_OTHERS) !== 0) throw open(path, 'its mode lets others in', remedy);
  if ((found.mode & OF_OWNER) !== OF_OWNER) {
    const mode = (found.mode & 0o777).toString(8).padStart(3, '0');
    throw configError('home-closed', `${quote(path)} has mode ${mode}, which keeps its owner out`, remedy);
  }
}

/** Whether root has made it for somebody, as another start at this moment does, and not given it away yet. */
function isUngiven({ uid }: Stats, list: () => readonly string[]): boolean {
  return process.geteuid?.() === 0 && uid === 0 && list().length === 0;
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

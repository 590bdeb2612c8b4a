/**
 * The state directory of a running sandbox: sockets, the domain's XML, and the owning process. It exists as long as the
 * sandbox, and creating it claims the name.
 */
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkEntry } from '../../config/name.js';
import { CONTAINER_FLAG, type ConnectionKind } from '../../libvirt/connection.js';
import { REMOVAL_LASTS, REMOVAL_REFUSED, REMOVAL_STUCK, REMOVED } from '../../libvirt/removal-status.js';
import { makeDirectories, openToAll } from '../../util/directories.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { baseDirectory } from '../../util/home.js';
import { hostProgram } from '../../util/programs.js';
import { readPlainFile } from '../../util/small-files.js';
import { sphere } from '../../util/sphere.js';
import { makeAlias, needsAlias, ROOT_STATE, removeAlias } from './alias.js';

/** Retries when another process claims the same name at the same time. */
const CLAIM_TRIES = 10;

/** How long the removal of what a dead sandbox left may take, in milliseconds: more than by its own limits, 45 s. */
const REMOVE_STALE_MS = 50_000;
const REMOVING = { encoding: 'utf8', timeout: REMOVE_STALE_MS, killSignal: 'SIGKILL' } as const;

/** More than the file `owner` has. */
const OWNER_BYTES = 1024;

export interface StateDirectory {
  readonly path: string;
  /** What the file `owner` in it says. No other directory has the same, so it tells whether this one is still there. */
  readonly owner: string;
  /** The same directory, by a path short enough for sockets. */
  readonly sockets: string;
  /** QEMU's monitor for the launcher uses it too. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
}

/** Where this user's state directories are. The paths are libvirt-sandbox's. */
export function stateBase(): string {
  if (process.getuid?.() === 0) return ROOT_STATE;
  return join(baseDirectory('XDG_CACHE_HOME'), 'libvirt-sandbox');
}

/**
 * Claims `name` by creating its state directory.
 * @param kind of the connection that its domain is started with
 * @param base where this user's are; others than those of sandboxes have another one
 * @throws {SandboxError} `name-invalid`, `name-in-use`, `name-too-long`, `state-not-writable`
 */
export function claimState(name: string, kind: ConnectionKind, base = stateBase()): StateDirectory {
  // What a dead sandbox left there is removed, so it must be there and nowhere else.
  checkEntry(name);
  const path = join(base, name);
  const aliased = needsAlias(path, name, kind);
  let owner: string;
  try {
    makeDirectories(base);
    if (process.getuid?.() === 0) openToAll(base);
    owner = makeOwned(path, name, kind);
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw notWritable(path, error);
  }
  try {
    const sockets = aliased ? makeAlias(path) : path;
    return { path, owner, sockets, channelSocket: join(sockets, 'channel'), consoleSocket: join(sockets, 'console') };
  } catch (error) {
    releaseState({ path, owner });
    throw error;
  }
}

/**
 * As {@link claimState}, for a process that serves others meanwhile: to remove what a dead sandbox left there may take
 * most of a minute.
 * @throws {SandboxError} as {@link claimState}
 */
export async function claimStateMeanwhile(
  name: string,
  kind: ConnectionKind,
  base = stateBase(),
): Promise<StateDirectory> {
  checkEntry(name);
  const path = join(base, name);
  if (existsSync(path) && !ownerLives(path))
    await removeStaleMeanwhile(path).catch((error: unknown) => {
      throw notWritable(path, error);
    });
  return claimState(name, kind, base);
}

/**
 * Removes the state directory of a domain that was not started. libvirt's side removes it otherwise. If it is gone,
 * another sandbox may have claimed the name: that one's directory stays.
 */
export function releaseState(state: Pick<StateDirectory, 'path' | 'owner'>): void {
  if (ownerOf(state.path) !== state.owner) return;
  removeAlias(state.path);
  // Rename first: the next process to claim the name must not find half of it.
  const aside = join(dirname(state.path), `.claim-${process.pid}-${Date.now()}`);
  try {
    renameSync(state.path, aside);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

/** The content of its file `owner`; undefined without one. */
function ownerOf(path: string): string | undefined {
  try {
    return readFileSync(join(path, 'owner'), 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function notWritable(path: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'state-not-writable',
    message: `the state directory ${path} cannot be made: ${messageOf(cause)}`,
    remedy: isSystemError(cause, 'ENOSPC')
      ? 'free some space there'
      : `make ${dirname(path)} a directory that you can write to`,
    cause,
  });
}

/** @returns the content of its `owner` */
function makeOwned(path: string, name: string, kind: ConnectionKind): string {
  // It appears with its `owner` file already in it, so no other process takes it for a stale one.
  const fresh = mkdtempSync(join(dirname(path), '.claim-'));
  try {
    // QEMU may run as another user, who must reach the sockets in it and nothing else, whatever the umask.
    chmodSync(fresh, 0o711);
    const owner = `${process.pid} ${startTime(process.pid)} ${sphere()} ${process.hrtime.bigint()}\n`;
    // Whoever can open it can take the supervisor's lock.
    writeFileSync(join(fresh, 'owner'), owner, { mode: 0o600 });
    if (kind === 'lxc') writeFileSync(join(fresh, CONTAINER_FLAG), '');
    for (let tries = 0; tries < CLAIM_TRIES; tries += 1) {
      if (renamed(fresh, path)) return owner;
      if (ownerLives(path) || !removeStale(path)) break;
    }
    throw new SandboxError({
      stage: 'config',
      code: 'name-in-use',
      message: `the name ${name} is in use: ${path} belongs to a running process`,
      remedy: 'choose another name with --name, or end that sandbox first',
    });
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    throw error;
  }
}

/** Renames a directory. rename(2) replaces only an empty directory, which is one that is being removed. */
function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOTEMPTY') || isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Removes a stale state directory under a lock, so that a new directory of that name is never removed. Node.js has no
 * file locks, so the supervisor does it.
 * @returns false if the directory has an owner by now
 */
export function removeStale(path: string): boolean {
  const { status, stderr, error } = spawnSync(hostProgram('supervisor'), ['--remove-stale', path], REMOVING);
  return isFree(status, stderr, error);
}

/** As {@link removeStale}. */
export async function removeStaleMeanwhile(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile(hostProgram('supervisor'), ['--remove-stale', path], REMOVING, (error, _stdout, stderr) => {
      try {
        resolve(isFree(error === null ? REMOVED : error.code, stderr, error));
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

/** Whether a removal that ended with this status has freed the path. */
function isFree(status: unknown, stderr: string | undefined, error: unknown): boolean {
  if (status === REMOVED || status === REMOVAL_LASTS || status === REMOVAL_STUCK) return true;
  if (status === REMOVAL_REFUSED) return false;
  throw new Error(`what a dead sandbox left cannot be removed: ${stderr?.trim() || messageOf(error)}`);
}

/** Whether the owning process lives. False for what a crash or a killed supervisor left. */
export function ownerLives(path: string): boolean {
  try {
    const [pid = '', started = ''] = readPlainFile(join(path, 'owner'), { most: OWNER_BYTES }).trim().split(' ');
    return startTime(Number(pid)) === started;
  } catch (error) {
    // Without the file the directory is being removed, or its removal was interrupted.
    return !isSystemError(error, 'ENOENT') && !isSystemError(error, 'ESRCH');
  }
}

/** Whether a process that is dead owned it, which this one can know. */
export function isLeft(path: string): boolean {
  const text = valueOr(() => readPlainFile(join(path, 'owner'), { most: OWNER_BYTES }), undefined);
  return text?.trim().split(' ')[2] === sphere() && !ownerLives(path);
}

/** The process that owns a state directory, by its ID and its start; undefined if that is not known. */
export function ownerText(path: string): string | undefined {
  const text = valueOr(() => readPlainFile(join(path, 'owner'), { most: OWNER_BYTES }), undefined);
  return text?.split(' ', 2).join(' ');
}

/**
 * When a process was started, in clock ticks since boot. With the PID it identifies a process. Field 22 of
 * proc_pid_stat(5).
 * @returns '' for a zombie
 * @throws if there is no such process
 */
export function startTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie is dead.
  return afterName[0] === 'Z' ? '' : (afterName[19] ?? '');
}

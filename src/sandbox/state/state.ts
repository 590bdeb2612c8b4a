/**
 * The directory of a running sandbox: sockets, the domain's XML, and whose it is. It is there as long as the sandbox is, and making it claims
 * the name.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { baseDirectory } from '../../util/home.js';
import { hostProgram } from '../../util/programs.js';
import { makeAlias, needsAlias, ROOT_STATE, removeAlias } from './alias.js';

/** Others who claim the same name may come in between; each time one of them has had it. */
const CLAIM_TRIES = 10;

export interface StateDirectory {
  readonly path: string;
  /** The same directory, by a path that the address of a socket has room for. */
  readonly sockets: string;
  /** Also that of QEMU's monitor, where the launcher steers QEMU itself. */
  readonly channelSocket: string;
  readonly consoleSocket: string;
}

/** Where the directories of this user's sandboxes are: the places of libvirt-sandbox. */
export function stateBase(): string {
  if (process.getuid?.() === 0) return ROOT_STATE;
  return join(baseDirectory('XDG_CACHE_HOME'), 'libvirt-sandbox');
}

/**
 * Makes the directory of `name`.
 * @param kind of the connection that its domain is started with
 * @throws {SandboxError} `name-in-use`, `name-too-long`, `state-not-writable`
 */
export function claimState(name: string, kind: ConnectionKind): StateDirectory {
  const base = stateBase();
  const path = join(base, name);
  const aliased = needsAlias(path, name, kind);
  try {
    // QEMU may run as another user, who must pass.
    if (makeDirectories(base) !== undefined && base === ROOT_STATE) chmodSync(base, 0o755);
    makeOwned(path, name);
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw new SandboxError({
      stage: 'config',
      code: 'state-not-writable',
      message: `the state directory ${path} cannot be made: ${messageOf(error)}`,
      remedy: isSystemError(error, 'ENOSPC')
        ? 'free some space there'
        : `make ${base} a directory that you can write to`,
      cause: error,
    });
  }
  try {
    const sockets = aliased ? makeAlias(path) : path;
    return { path, sockets, channelSocket: join(sockets, 'channel'), consoleSocket: join(sockets, 'console') };
  } catch (error) {
    releaseState({ path });
    throw error;
  }
}

/** Removes the directory where nothing else will. */
export function releaseState(state: Pick<StateDirectory, 'path'>): void {
  // Out of the way first: who claims the name next must not meet half of it.
  const aside = join(dirname(state.path), `.claim-${process.pid}-${Date.now()}`);
  try {
    renameSync(state.path, aside);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  removeAlias(state.path, aside);
  rmSync(aside, { recursive: true, force: true });
}

function makeOwned(path: string, name: string): void {
  // It appears with its owner in it, so that nobody takes it for one that was left.
  const fresh = mkdtempSync(join(dirname(path), '.claim-'));
  try {
    // QEMU may run as another user, who must reach the sockets in it and nothing else. Whatever the umask is.
    chmodSync(fresh, 0o711);
    writeFileSync(join(fresh, 'owner'), `${process.pid} ${startTime(process.pid)}\n`);
    for (let tries = 0; tries < CLAIM_TRIES; tries += 1) {
      if (renamed(fresh, path)) return;
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

/** rename(2) replaces nothing but an empty directory, which is one that is just being removed. */
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
 * Under a lock, which Node has none of: of several who find the same directory only one may remove it, and nobody the one that was made then.
 * @returns false when it has an owner meanwhile
 */
function removeStale(path: string): boolean {
  const { status, stderr, error } = spawnSync(hostProgram('supervisor'), ['--remove-stale', path], {
    encoding: 'utf8',
  });
  if (status === 0 || status === 1) return status === 0;
  throw new Error(`what a dead sandbox left cannot be removed: ${stderr?.trim() || messageOf(error)}`);
}

/** False for what a crashed machine or a killed supervisor has left. */
export function ownerLives(path: string): boolean {
  try {
    const [pid = '', started = ''] = readFileSync(join(path, 'owner'), 'utf8').trim().split(' ');
    return startTime(Number(pid)) === started;
  } catch (error) {
    // Without the file it is being removed, or was when that was cut short.
    return !isSystemError(error, 'ENOENT') && !isSystemError(error, 'ESRCH');
  }
}

/** When a process was started, in clock ticks since boot: with the PID it names one process. Field 22 of proc_pid_stat(5). */
function startTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // One that only waits to be reaped is dead.
  return afterName[0] === 'Z' ? '' : (afterName[19] ?? '');
}

/**
 * The directory of a running sandbox: sockets, the domain's XML, and whose it is. It is there as long as the sandbox is, and making it claims
 * the name.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isSystemError, messageOf, SandboxError } from '../errors.js';
import { checkSocketPath } from '../libvirt/socket-path.js';

/** How long making a directory and writing down whose it is may take, in milliseconds. */
const CLAIM_MS = 10_000;

export interface StateDirectory {
  readonly path: string;
  readonly channelSocket: string;
  readonly consoleSocket: string;
  /** Of QEMU's own monitor, where the launcher steers QEMU itself. */
  readonly monitorSocket: string;
}

/** Where root's are. */
export const ROOT_STATE = '/run/libvirt-sandbox';

/** Where the directories of this user's sandboxes are: the places of libvirt-sandbox. */
export function stateBase(): string {
  if (process.getuid?.() === 0) return ROOT_STATE;
  const cache = process.env['XDG_CACHE_HOME'];
  return join(cache?.startsWith('/') ? cache : join(homedir(), '.cache'), 'libvirt-sandbox');
}

/**
 * Makes the directory of `name`.
 * @throws {SandboxError} `name-in-use`, `state-not-writable`, `state-path-too-long`
 */
export function claimState(name: string): StateDirectory {
  const base = stateBase();
  const path = join(base, name);
  const state = {
    path,
    channelSocket: join(path, 'channel'),
    consoleSocket: join(path, 'console'),
    monitorSocket: join(path, 'monitor'),
  };
  checkSocketPath(state.channelSocket, path);
  try {
    mkdirSync(base, { recursive: true });
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
  return state;
}

/** Removes the directory where nothing else will. */
export function releaseState(state: StateDirectory): void {
  rmSync(state.path, { recursive: true, force: true });
}

function makeOwned(path: string, name: string): void {
  try {
    // QEMU may run as another user, who must reach the sockets in it and nothing else.
    mkdirSync(path, { mode: 0o711 });
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    if (ownerLives(path)) {
      throw new SandboxError({
        stage: 'config',
        code: 'name-in-use',
        message: `the name ${name} is in use: ${path} belongs to a running process`,
        remedy: 'choose another name with --name, or end that sandbox first',
      });
    }
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { mode: 0o711 });
  }
  // Whatever the umask is.
  chmodSync(path, 0o711);
  writeFileSync(join(path, 'owner'), `${process.pid} ${startTime(process.pid)}\n`);
}

/** False for what a crashed machine or a killed supervisor has left. */
export function ownerLives(path: string): boolean {
  try {
    const [pid = '', started = ''] = readFileSync(join(path, 'owner'), 'utf8').trim().split(' ');
    return startTime(Number(pid)) === started;
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) return true;
    // Without the file it is somebody who has just made the directory, or one who died in between.
    return !error.path?.startsWith('/proc/') && Date.now() - statSync(path).mtimeMs < CLAIM_MS;
  }
}

/** When a process was started, in clock ticks since boot: with the PID it names one process. Field 22 of proc_pid_stat(5). */
function startTime(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return afterName[19] ?? '';
}

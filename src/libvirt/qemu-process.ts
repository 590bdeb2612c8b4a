/** Finds and kills the QEMU process of a domain, by the PID file that libvirt writes. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { isSystemError, valueOr } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import { mark } from '../util/marks.js';
import { firstOptionIn, optionValue } from '../util/qemu-options.js';
import type { DaemonKind } from './connection.js';
import type { Supervisor } from './supervisor.js';

/**
 * Kills the virtiofsd processes of a domain, then its QEMU. libvirt polls a process that it ends every 200 ms, but
 * notices at once that a process is gone. So this saves the wait, if the guest has nothing left to write.
 *
 * @param pidFile libvirt's PID file of the domain. It may be stale, so QEMU's command line must contain the name.
 * @param name Name of the domain.
 * @param prefix Start of the names of the virtiofsd PID files, in the same directory; undefined if not known yet.
 * @returns false if QEMU does not run, or may not be killed
 */
export async function killQemu(
  supervisor: Supervisor,
  pidFile: string,
  name: string,
  prefix: string | undefined,
): Promise<boolean> {
  const pid = await readPid(pidFile);
  if (pid === undefined) return false;
  for (const server of prefix === undefined ? [] : await shareServerPids(pidFile, prefix)) {
    if (await supervisor.kill(server, VIRTIOFSD_ARGUMENT)) mark('virtiofsd.killed', { pid: server });
  }
  if (!(await supervisor.kill(pid, argumentOf(name)))) return false;
  mark('qemu.killed', { pid });
  return true;
}

/** Has the supervisor kill a QEMU that libvirt is about to start, if this process is killed. */
export function expectQemu(
  supervisor: Pick<Supervisor, 'expect'>,
  pidFile: string,
  name: string,
  other: number | undefined,
): void {
  supervisor.expect('expect', argumentOf(name), pidFile, other);
}

/** Has the supervisor kill QEMU if this process is killed. The virtiofsd processes end with it. @param pid 0: none */
export function killQemuAtLast(supervisor: Pick<Supervisor, 'killAtLast'>, pid: number, name: string): void {
  supervisor.killAtLast(pid, argumentOf(name));
}

function argumentOf(name: string): string {
  return `guest=${optionValue(name)}`;
}

/** End of the name of a virtiofsd PID file, and an argument in the command line of each virtiofsd. */
const VIRTIOFSD_PID = '-fs.pid';
const VIRTIOFSD_ARGUMENT = '--shared-dir';

/**
 * Process IDs of a domain's virtiofsd, or of what libvirt started in its place.
 *
 * @param pidFile libvirt's PID file of the domain
 * @param prefix Start of the names of their PID files, in the same directory
 */
export async function shareServerPids(pidFile: string, prefix: string): Promise<readonly number[]> {
  const pids = await Promise.all(serverPidFiles(dirname(pidFile), prefix).map(readPid));
  return pids.filter((pid) => pid !== undefined);
}

function serverPidFiles(directory: string, prefix: string): string[] {
  return valueOr(() => readdirSync(directory), [])
    .filter((file) => file.startsWith(prefix) && file.endsWith(VIRTIOFSD_PID))
    .map((file) => join(directory, file));
}

/** Whether a domain's QEMU is seen to run. @param pidFile libvirt's PID file of the domain */
export async function seesQemu(pidFile: string, domain: string): Promise<boolean> {
  const pid = await readPid(pidFile);
  return pid !== undefined && isQemuOf(pid, domain);
}

/** Whether a process is the QEMU of a domain; false if it cannot be seen. */
export function isQemuOf(pid: number, domain: string): boolean {
  const words = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
  return words.some((word) => firstOptionIn(word, 'guest') === domain);
}

/** Process ID in a PID file of libvirt; undefined if there is none. */
export async function readPid(pidFile: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10);
    return pid > 1 ? pid : undefined;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** Path of the PID file that a daemon of libvirt writes for a QEMU. */
export function daemonPidFile(kind: DaemonKind, name: string): string {
  if (kind === 'system') return `/run/libvirt/qemu/${name}.pid`;
  return join(runtimeDirectory(), 'libvirt/qemu/run', `${name}.pid`);
}

/** Where the daemons of a user's session keep what does not last. */
export function runtimeDirectory(): string {
  const given = process.env['XDG_RUNTIME_DIR'];
  return given !== undefined && isAbsolute(given) ? given : baseDirectory('XDG_CACHE_HOME');
}

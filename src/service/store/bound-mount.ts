/** How the file system that bounds a state is mounted, and unmounted. Who calls has the exclusive lock of the file. */
import { spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quote } from '../../config/errors.js';
import type { Overlay } from '../../config/types.js';
import { mountAt } from '../../sandbox/devices/host-mounts.js';
import { BOUND, hasMountedLayers, isBound } from '../../sandbox/devices/overlay-bound.js';
import { layersOf } from '../../sandbox/devices/overlay-directory.js';
import { findTool, runTool } from '../../sandbox/devices/overlay-tools.js';
import { isSystemError, messageOf, type SandboxError, valueOr } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { openLoop } from './loop-device.js';

/** Nothing there is a program, a device or a link for the host. */
const FLAGS = ['nosuid', 'nodev', 'noexec', 'nosymfollow'];

/**
 * An error in the file system ends writing, and not the host. So does one with what a process has written: Linux 6.12 sees
 * that only where blocks are no unwritten ones at first, which `dioread_lock` is for.
 */
const MOUNTED = [...FLAGS, 'errors=remount-ro', 'data_err=abort', 'dioread_lock'].join();

/** What the kernel says of a file system that takes nothing more, the second since 6.15. */
const READ_ONLY = ['ro', 'emergency_ro', 'shutdown'];

/** How long a change may take that shows whether there are any, in milliseconds. */
const ANSWER_MS = 1000;

const PURPOSE = 'mounting the bound of a state';

/** For others who look into it, and for the last process of a container, in milliseconds, and between two looks. */
const PATIENCE_MS = 1000;
const RENEWING_MS = 5000;
const LOOK_MS = 50;

/** A file: root-overlay has a directory of that name (init/root-overlay/kept.c), and fails where the mount does not cover it. */
const COVERED = 'lock';

/** How it is mounted: as {@link mountLayers} does, or by somebody else, or only to be read, after an error. */
export type MountState = 'right' | 'foreign' | 'read-only';

/** Undefined: nothing is mounted. */
export async function mountStateOf(directory: string): Promise<MountState | undefined> {
  if (!hasMountedLayers(directory)) return undefined;
  const layers = join(directory, 'layers');
  const mount = mountAt(layers);
  // A mount namespace may have it to be read only. That says nothing of the file system.
  if (mount?.type !== 'ext4' || !FLAGS.every((flag) => mount.flags.includes(flag)) || mount.flags.includes('ro'))
    return 'foreign';
  const isOver = mount.options.split(',').some((word) => READ_ONLY.includes(word));
  return isOver || !(await takesChanges(layers)) ? 'read-only' : 'right';
}

/**
 * Not every kernel has a word for a file system that takes nothing more: after an error, 6.12 shows it as before. Behind a
 * journal that was aborted the first change may succeed, and only the second one fails. On a file system that somebody
 * holds still a change waits, and nothing ends it: so a process of its own makes it. What does not answer is not known.
 */
function takesChanges(layers: string): Promise<boolean> {
  const mode = (lstatSync(layers).mode & 0o7777).toString(8);
  const chmod = findTool('chmod', 'coreutils', PURPOSE);
  const child = spawn(chmod, [mode, layers, layers], { stdio: ['ignore', 'ignore', 'pipe'], env: { LC_ALL: 'C' } });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stderr.destroy();
      child.unref();
      resolve(true);
    }, ANSWER_MS);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0 || /read-only file system|input\/output error/i.test(said)) resolve(code === 0);
      else reject(new Error(said.trim() || 'chmod failed'));
    });
  });
}

/** @throws {SandboxError} `service-bound-not-mounted` */
export async function mountLayers(directory: string): Promise<void> {
  const file = join(directory, BOUND);
  const layers = join(directory, 'layers');
  try {
    cover(layers);
    const loop = await openLoop(file);
    try {
      // Without -w it would mount what cannot be written to as read-only.
      await run('mount', ['-w', '-t', 'ext4', '-o', MOUNTED, '--', loop.path, layers]);
    } finally {
      await loop.close();
    }
  } catch (error) {
    throw serviceError(
      'service-bound-not-mounted',
      `the file system in ${quote(file)}, which bounds the state, cannot be mounted: ${messageOf(error)}`,
      'make room if its disk is full: the journal may need some; else see dmesg, that this host has loop devices ' +
        `(modprobe loop), and that nobody has made one of the file (losetup -j ${file}); when it has none, e2fsck ` +
        'repairs a file system that is damaged',
      error,
    );
  }
}

function cover(layers: string): void {
  try {
    writeFileSync(join(layers, COVERED), '', { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
}

/** Somebody may look into it for a moment. What the service has written last is written to the disk meanwhile. */
export async function unmountLayers(directory: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; hasMountedLayers(directory); await delay(LOOK_MS))
    try {
      await run('umount', ['--', join(directory, 'layers')]);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
}

/**
 * Mounts anew what is not mounted right. As long as a process of the container lives, it stays as it is.
 * @throws {SandboxError} `service-bound-not-mounted`
 */
export async function renewMount(directory: string): Promise<void> {
  for (const deadline = Date.now() + RENEWING_MS; ; await delay(LOOK_MS)) {
    await unmountLayers(directory);
    await mountLayers(directory);
    if ((await mountStateOf(directory)) === 'right' || Date.now() > deadline) return;
  }
}

/** It ends with this process, which has the lock. */
async function run(program: string, words: readonly string[]): Promise<void> {
  const setpriv = findTool('setpriv', 'util-linux', PURPOSE);
  await runTool(setpriv, ['--pdeathsig', 'KILL', '--', program, ...words], { name: program });
}

/** Daemons of libvirt that start containers, as the kernel shortens their names. */
const DAEMONS = ['libvirtd', 'virtlxcd'];

/**
 * libvirt's daemon binds the layers, and must see what this process has mounted. It may be started later, by PID 1. Of some
 * this is not known which one it is: {@link COVERED} is for the others.
 * @throws {SandboxError} `service-bound-hidden`
 */
export function checkSeen(state: Overlay | undefined): void {
  if (state?.type !== 'directory' || !isBound(state.path)) return;
  const point = layersOf(state.path);
  const tables = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const name = valueOr(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim(), '');
    if (pid !== '1' && !DAEMONS.includes(name)) return [];
    return valueOr(() => [readFileSync(`/proc/${pid}/mountinfo`, 'utf8')], []);
  });
  if (tables.some((table) => mountAt(point, table)?.type === 'ext4')) return;
  throw hidden(point);
}

function hidden(point: string): SandboxError {
  return serviceError(
    'service-bound-hidden',
    `libvirt does not see the file system that is mounted on ${quote(point)}: this process has mounts of its own`,
    'start the service where the mounts are those of the host: systemctl start NAME_sandbox, or ' +
      'nsenter --mount=/proc/1/ns/mnt virt-sandbox-service start NAME',
  );
}

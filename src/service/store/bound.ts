/**
 * The bound of a state: a file system in a file, which is mounted while anybody uses the state. flock(2) on the file says
 * who does. It is shared by those who do, and goes with a process however that ends. Who is alone with it mounts, and
 * unmounts. What a process that was killed has left mounted is used by the next one, or goes with the service.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, fsyncSync, lstatSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { type FileHandle, open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quote } from '../../config/errors.js';
import type { Overlay } from '../../config/types.js';
import { lockOpenFile, tryToLock } from '../../oci/lock.js';
import { BOUND, hasMountedLayers, isBound } from '../../sandbox/devices/overlay-bound.js';
import { layersOf, safeDirectory } from '../../sandbox/devices/overlay-directory.js';
import { EXT4 } from '../../sandbox/devices/overlay-image.js';
import { findTool, runTool } from '../../sandbox/devices/overlay-tools.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { fileLabeller, labelOf } from './label-state.js';

const { O_RDONLY, O_NOFOLLOW } = constants;

/** On the host nothing there is a program, a device or a link. An error in the file system ends writing, and not the host. */
const MOUNTED = 'loop,nosuid,nodev,noexec,nosymfollow,errors=remount-ro';

/**
 * The last bytes of the file, which the file system does not have: they stay empty. Other kinds of disks are recognised
 * by what is at their end, and the host must not take this one for one of them.
 */
const MARGIN = 2 ** 20;
const BLOCK = 4096;

/**
 * Bytes for each inode, and MiB of the journal. Without a free inode overlayfs cannot be mounted, so blocks are to run out
 * first: a file that has anything in it takes one.
 */
const SIZES = ['-i', String(BLOCK), '-J', 'size=16'];

/**
 * Blocks up to which the file system could grow while it is mounted. So many need more than 1024 blocks of descriptors of
 * groups, which are in front: no bitmap is in the first 4 MiB. There libblkid looks for headers of LUKS2 and much else, and
 * which bits a bitmap has a service chooses. A larger file system has as many anyway.
 */
const MOST_BLOCKS = 2_200_000_000;

/** For others who mount it, or look into it, in milliseconds, and between two looks. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

/** Lets a state go. Further calls do nothing. */
export type EndUse = () => Promise<void>;

/** Bytes that the state may take; undefined: as many as its file system has. */
export function boundOf(state: Overlay | undefined): number | undefined {
  if (state?.type !== 'directory' || !isBound(state.path)) return undefined;
  return lstatSync(join(state.path, BOUND)).size;
}

/**
 * Gives an empty directory a bound, and mounts it.
 * @param bytes a number with {@link MARGIN}
 * @throws {SandboxError} as {@link useState}, `overlay-tool-missing`
 * @throws what the program fails with
 */
export async function makeBound(directory: string, bytes: number): Promise<EndUse> {
  const mke2fs = findTool('mke2fs', 'e2fsprogs');
  const file = join(directory, BOUND);
  await writeFile(file, '', { mode: 0o600, flag: 'wx' });
  await truncate(file, bytes);
  const blocks = Math.floor((bytes - MARGIN) / BLOCK);
  await runTool(mke2fs, ['-q', '-F', ...EXT4, ...SIZES, ...reserved(blocks), file, String(blocks)]);
  flush(file);
  const layers = join(directory, 'layers');
  mkdirSync(layers, { mode: 0o700 });
  const endUse = await useState({ type: 'directory', path: directory });
  chmodSync(layers, 0o700);
  valueOr(() => rmdirSync(join(layers, 'lost+found')), undefined);
  // As a new directory there would have it.
  const label = labelOf(directory);
  if (label !== undefined) fileLabeller(label)(Buffer.from(layers));
  return endUse;
}

function reserved(blocks: number): string[] {
  return ['-O', 'resize_inode', ...(blocks < MOST_BLOCKS ? ['-E', `resize=${MOST_BLOCKS}`] : [])];
}

function flush(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Mounts what bounds a state, until the last one who uses it lets it go. Without a bound there is nothing to do.
 * @throws {SandboxError} `service-bound-unsafe`, `service-bound-busy`, `service-bound-not-mounted`, and what
 *   `safeDirectory` throws
 */
export async function useState(state: Overlay | undefined): Promise<EndUse> {
  if (state?.type !== 'directory' || !isBound(state.path)) return async () => {};
  const directory = safeDirectory(state.path) ?? state.path;
  const file = join(directory, BOUND);
  const held = await open(file, O_RDONLY | O_NOFOLLOW).catch((error: unknown) => {
    throw isSystemError(error, 'ELOOP') ? unsafe(file) : error;
  });
  try {
    await checkFile(held, file);
    await mountFor(held, directory);
  } catch (error) {
    await held.close();
    throw error;
  }
  let isOver = false;
  return async () => {
    if (isOver) return;
    isOver = true;
    // What cannot be unmounted is left to the next one.
    await unmountAlone(held, directory).catch(() => {});
    await held.close();
  };
}

/** Runs `work` while the state can be read. Errors: those of {@link useState} and of `work`. */
export async function whileMounted<T>(state: Overlay | undefined, work: () => Promise<T>): Promise<T> {
  const endUse = await useState(state);
  try {
    return await work();
  } finally {
    await endUse();
  }
}

/** What is mounted is what this host has written, or nothing is. */
async function checkFile(held: FileHandle, file: string): Promise<void> {
  const found = await held.stat();
  if (found.isFile() && found.uid === 0 && (found.mode & 0o077) === 0 && found.nlink === 1) return;
  throw unsafe(file);
}

function unsafe(file: string): SandboxError {
  return serviceError(
    'service-bound-unsafe',
    `the file system in ${quote(file)} is not mounted: others than root may have written to it`,
    `if nobody has: chown root ${file}; chmod 600 ${file}, and see that it is the file itself, with no other name`,
  );
}

async function mountFor(held: FileHandle, directory: string): Promise<void> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await delay(LOOK_MS)) {
    await lockOpenFile(held, 'shared', { onWait: () => refuseLate(directory, deadline) });
    if (hasMountedLayers(directory)) return;
    if (await tryToLock(held, 'exclusive')) {
      if (!hasMountedLayers(directory)) await mount(directory);
      continue;
    }
    refuseLate(directory, deadline);
  }
}

function refuseLate(directory: string, deadline: number): void {
  if (Date.now() <= deadline) return;
  throw busy(
    directory,
    'is not mounted, and in use',
    'end what uses it, such as a service whose state somebody has unmounted',
  );
}

/** mount(8) takes the loop device that the file has, if it has one: of two, each would write over the other. */
async function mount(directory: string): Promise<void> {
  const file = join(directory, BOUND);
  try {
    const words = ['-t', 'ext4', '-o', MOUNTED, '--', file, layersOf(directory)];
    await run('mount', words);
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw serviceError(
      'service-bound-not-mounted',
      `the file system in ${quote(file)}, which bounds the state, cannot be mounted: ${messageOf(error)}`,
      'see dmesg, and that this host has loop devices (modprobe loop); e2fsck repairs a file system that is damaged',
      error,
    );
  }
}

/** Somebody may look into it: then it stays. What the service has written last is written to the disk meanwhile. */
async function unmountAlone(held: FileHandle, directory: string): Promise<void> {
  if (!(await tryToLock(held, 'exclusive'))) return;
  for (const deadline = Date.now() + PATIENCE_MS / 10; hasMountedLayers(directory); await delay(LOOK_MS))
    try {
      await run('umount', ['--', layersOf(directory)]);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
}

/** It ends with this process, which has the lock. */
async function run(program: string, words: readonly string[]): Promise<void> {
  await runTool(findTool('setpriv', 'util-linux'), ['--pdeathsig', 'KILL', '--', program, ...words]);
}

/**
 * Before the directory is removed.
 * @throws {SandboxError} `service-bound-busy`
 */
export function unmountBound(directory: string): void {
  while (isBound(directory) && hasMountedLayers(directory))
    if (!umount(directory)) throw busy(directory, 'cannot be unmounted', 'leave the directories in it');
}

function umount(directory: string): boolean {
  return spawnSync('umount', ['--', join(directory, 'layers')], { stdio: 'ignore' }).status === 0;
}

function busy(directory: string, why: string, remedy: string): SandboxError {
  return serviceError('service-bound-busy', `the file system in ${quote(join(directory, BOUND))} ${why}`, remedy);
}

/**
 * The bound of a state: a file system in a file, which is mounted while anybody uses the state. flock(2) on the file says
 * who does. It is shared by those who do, and goes with a process however that ends. Who is alone with it mounts, and
 * unmounts. What a process that was killed has left mounted is used by the next one, or goes with the service.
 */
import { spawnSync } from 'node:child_process';
import { type BigIntStats, constants, lstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { quote } from '../../config/errors.js';
import type { Overlay } from '../../config/types.js';
import { isStillAt, lockOpenFile, tryToLock } from '../../oci/lock.js';
import { BOUND, hasMountedLayers, isBound } from '../../sandbox/devices/overlay-bound.js';
import { safeDirectory } from '../../sandbox/devices/overlay-directory.js';
import { isSystemError, type SandboxError } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { withDamage } from './bound-damage.js';
import { type MountState, mountLayers, mountStateOf, renewMount, unmountLayers } from './bound-mount.js';

const { O_RDWR, O_NOFOLLOW } = constants;

/**
 * For others who use what is not mounted, or look into it, in milliseconds, and between two looks. Who mounts it may have
 * to replay a journal, and who unmounts it to write much.
 */
const PATIENCE_MS = 10_000;
const MOUNTING_MS = 120_000;
const LOOK_MS = 50;

/** Lets a state go. Further calls do nothing. */
export type EndUse = () => Promise<void>;

/** What somebody has of a state. */
export interface StateUse {
  readonly end: EndUse;
  /** Mounts anew what takes nothing more since an error, if nobody else uses it. Errors: those of {@link useState}. */
  readonly renew: () => Promise<void>;
}

/**
 * Bytes that the state may take; undefined: as many as its file system has.
 * @throws {SandboxError} `service-bound-unsafe`
 */
export function boundOf(state: Overlay | undefined): number | undefined {
  if (state?.type !== 'directory' || !isBound(state.path)) return undefined;
  const file = join(state.path, BOUND);
  const found = lstatSync(file, { bigint: true });
  checkStats(found, file);
  return Number(found.size);
}

/** Whether the kernel writes no more to a state that is mounted, after an error of the disk that its bound is on. */
export async function isReadOnly(state: Overlay | undefined): Promise<boolean> {
  if (state?.type !== 'directory' || !isBound(state.path)) return false;
  return (await mountStateOf(state.path)) === 'read-only';
}

/**
 * Mounts what bounds a state, until the last one who uses it lets it go. Without a bound there is nothing to do.
 * @throws {SandboxError} `service-bound-unsafe`, `service-bound-busy`, `service-bound-not-mounted`, and what
 *   `safeDirectory` throws
 */
export async function useState(state: Overlay | undefined): Promise<EndUse> {
  return (await holdState(state)).end;
}

/** As {@link useState}. */
export async function holdState(state: Overlay | undefined): Promise<StateUse> {
  if (state?.type !== 'directory' || !isBound(state.path)) return { end: async () => {}, renew: async () => {} };
  const directory = safeDirectory(state.path) ?? state.path;
  const file = join(directory, BOUND);
  // NFS has exclusive locks for those who may write.
  const held = await open(file, O_RDWR | O_NOFOLLOW).catch((error: unknown) => {
    throw isSystemError(error, 'ELOOP') ? unsafe(file) : error;
  });
  try {
    checkStats(await held.stat({ bigint: true }), file);
    await mountFor(held, directory);
  } catch (error) {
    await held.close();
    throw error;
  }
  let isOver = false;
  return {
    renew: () => mountFor(held, directory),
    end: async () => {
      if (isOver) return;
      isOver = true;
      // What cannot be unmounted is left to the next one.
      await unmountAlone(held, directory).catch(() => {});
      await held.close().catch(() => {});
    },
  };
}

/**
 * Runs `work` while the state can be read.
 * @throws {SandboxError} `service-bound-damaged`, and what {@link useState} and `work` throw
 */
export async function whileMounted<T>(state: Overlay | undefined, work: () => Promise<T>): Promise<T> {
  const endUse = await useState(state);
  try {
    return await work();
  } catch (error) {
    throw state?.type === 'directory' && isBound(state.path) ? withDamage(error, state.path) : error;
  } finally {
    await endUse();
  }
}

/** What is mounted is what this host has written, or nothing is. */
function checkStats(found: BigIntStats, file: string): void {
  if (found.isFile() && found.uid === 0n && (found.mode & 0o077n) === 0n && found.nlink === 1n) return;
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
  let mayRenew = true;
  for (const begun = Date.now(); ; await delay(LOOK_MS)) {
    await lockOpenFile(held, 'shared', { onWait: () => refuseLate(directory, begun + MOUNTING_MS, BEING_MOUNTED) });
    // Another one may have its name by now.
    if (!(await isStillAt(held, join(directory, BOUND)))) throw busy(directory, ...REPLACED);
    const state = await mountStateOf(directory);
    if (state === 'right' || (state !== undefined && !mayRenew)) return;
    if (await tryToLock(held, 'exclusive')) {
      await mountRight(directory, state);
      mayRenew = false;
    } else if (state !== undefined) mayRenew = false;
    else refuseLate(directory, begun + PATIENCE_MS, NOT_MOUNTED);
  }
}

/**
 * @param before its state before the lock was exclusive
 * @throws {SandboxError} `service-bound-busy`, and what `mountLayers` throws
 */
async function mountRight(directory: string, before: MountState | undefined): Promise<void> {
  if ((await mountStateOf(directory)) === undefined) await mountLayers(directory);
  else if (before !== undefined)
    try {
      await renewMount(directory);
    } catch (error) {
      const state = await mountStateOf(directory);
      // It was unmounted, and why it cannot be mounted is known.
      if (state === undefined) throw error;
      // Nobody can write to it, but it can be read.
      if (state !== 'read-only') throw busy(directory, ...FOREIGN, error);
    }
}

const BEING_MOUNTED = ['is being mounted or unmounted by another process', 'wait until that has ended'] as const;
const NOT_MOUNTED = [
  'is not mounted, and in use',
  'end what uses it, such as a service whose state somebody has unmounted',
] as const;
const REPLACED = ['was replaced', 'start again when nobody changes it'] as const;
const FOREIGN = [
  'was mounted by somebody else, and cannot be mounted anew',
  'leave the directories in it, and unmount it',
] as const;

function refuseLate(directory: string, deadline: number, why: readonly [string, string]): void {
  if (Date.now() > deadline) throw busy(directory, ...why);
}

/** What has another file by now is not this one's. */
async function unmountAlone(held: FileHandle, directory: string): Promise<void> {
  if (!(await tryToLock(held, 'exclusive')) || !(await isStillAt(held, join(directory, BOUND)))) return;
  await unmountLayers(directory);
}

/**
 * Before the directory is removed. Somebody may look into it for a moment.
 * @throws {SandboxError} `service-bound-busy`
 */
export function unmountBound(directory: string): void {
  for (const deadline = Date.now() + PATIENCE_MS / 10; isBound(directory) && hasMountedLayers(directory); ) {
    if (umount(directory)) continue;
    if (Date.now() > deadline) throw busy(directory, 'cannot be unmounted', 'leave the directories in it');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }
}

/** It ends with this process. */
function umount(directory: string): boolean {
  const words = ['--pdeathsig', 'KILL', '--', 'umount', '--', join(directory, 'layers')];
  return spawnSync('setpriv', words, { stdio: 'ignore' }).status === 0;
}

function busy(directory: string, why: string, remedy: string, cause?: unknown): SandboxError {
  return serviceError(
    'service-bound-busy',
    `the file system in ${quote(join(directory, BOUND))} ${why}`,
    remedy,
    cause,
  );
}

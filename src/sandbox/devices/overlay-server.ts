/** Makes what serves the layers of an overlay, for one sandbox at a time. */
import { lstatSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { configError, quote } from '../../config/errors.js';
import type { SandboxConfig } from '../../config/types.js';
import type { Share } from '../../domain/shares.js';
import { messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { isLeft, ownerText, removeStaleMeanwhile, stateBase } from '../state/state-directory.js';
import { OVERLAY_TAG, overlayKindOf, overlayServer, type Platform, topmostOf } from './overlay.js';
import { type KeptOverlay, layersOf, makeOverlayDirectory } from './overlay-directory.js';

/** How long the server of a sandbox that has ended may take to end, in milliseconds. */
const ENDING_MS = 10_000;
const LOOK_MS = 20;

/**
 * Makes the directory, if one keeps the overlay, and the link to share-server for a machine.
 * @param shares of the domain: libvirt serves the layers at the path that is there
 * @throws {SandboxError} `overlay-in-use`, `overlay-left`, `state-not-writable`, and what {@link makeOverlayDirectory}
 *   throws
 */
export async function prepareOverlay(
  config: SandboxConfig,
  shares: readonly Share[],
  stateDirectory: string,
  platform: Platform = 'machine',
): Promise<void> {
  const layers = overlayShareIn(shares)?.directory;
  if (layers === undefined) return;
  const directory = dirname(layers);
  if (layersOf(directory) !== layers) throw moved(directory);
  const { root } = config;
  makeOverlayDirectory(directory, { root, kind: overlayKindOf(config, platform) }, topmostOf(config));
  const find = platform === 'machine' ? () => holderOf(layers) : () => containerWith(directory, stateDirectory);
  await untilFree(layers, stateDirectory, find);
  makeLinks(stateDirectory, [
    ...(platform === 'machine' ? [[hostProgram('share-server'), overlayServer(stateDirectory)] as const] : []),
    [directory, overlayLink(stateDirectory)],
  ]);
}

/** A link to the directory that keeps the overlay of a running sandbox, in its state directory. */
export function overlayLink(stateDirectory: string): string {
  return join(stateDirectory, 'overlay');
}

/** The same, made when a container has the kernel's lock. Of some that start at once the others have not. */
export function heldLink(stateDirectory: string): string {
  return join(stateDirectory, 'overlay-held');
}

/**
 * Notes that a container has the lock.
 * @throws {SandboxError} `state-not-writable`
 */
export function noteHeld(stateDirectory: string): void {
  makeLinks(stateDirectory, [[readlinkSync(overlayLink(stateDirectory)), heldLink(stateDirectory)]]);
}

/** Whether another container that lives has the lock of the overlay that the container with that directory wants. */
export function isHeldByOther(stateDirectory: string): boolean {
  const directory = valueOr(() => readlinkSync(overlayLink(stateDirectory)), undefined);
  return directory !== undefined && heldBy(directory, stateDirectory) !== undefined;
}

function makeLinks(stateDirectory: string, links: readonly (readonly [target: string, path: string])[]): void {
  try {
    for (const [target, path] of links) symlinkSync(target, path);
  } catch (error) {
    throw new SandboxError({
      stage: 'domain',
      code: 'state-not-writable',
      message: `the links to the overlay cannot be made in ${stateDirectory}: ${messageOf(error)}`,
      remedy: 'free some space there',
      cause: error,
    });
  }
}

function overlayShareIn(shares: readonly Share[]): Share | undefined {
  return shares.find(({ tag }) => tag === OVERLAY_TAG);
}

function moved(directory: string): SandboxError {
  return configError(
    'overlay-directory-unsafe',
    `the directory ${quote(directory)} of an overlay has been replaced by a link, or one above it`,
    'start again when nobody changes it',
  );
}

/**
 * Waits for the server of a sandbox that has just ended. share-server itself takes the lock (init/share-server/layers.h),
 * and keeps it as long as anything can write there; in a container the kernel has one (init/root-overlay/kept.h). Here it
 * is only looked at, for an error that says who has it.
 * @param own the state directory of the sandbox that starts, whose server does not run yet
 */
async function untilFree(layers: string, own: string, find: () => Holder | undefined): Promise<void> {
  let deadline = Date.now() + ENDING_MS;
  const removed = new Set<string>();
  for (;;) {
    const holder = find();
    if (holder === undefined) return;
    const { stateDirectory } = holder;
    if (stateDirectory !== undefined && !removed.has(stateDirectory) && isLeft(stateDirectory)) {
      // Nobody else ends what a killed supervisor has left, until the name is wanted again.
      removed.add(stateDirectory);
      if (!(await removeLeft(layers, stateDirectory))) throw inUse(layers, holder);
      deadline = Date.now() + ENDING_MS;
      continue;
    }
    if (!isEnding(holder, own) || Date.now() > deadline) throw inUse(layers, holder);
    await sleep(LOOK_MS);
  }
}

/**
 * Why a domain did not start: another sandbox may have taken the lock meanwhile, and libvirt knows only that its server
 * has ended. Of a container the kernel does not say who has it.
 * @param name of the domain
 */
export function overlayReason(shares: readonly Share[], error: unknown, name: string): unknown {
  const share = overlayShareIn(shares);
  // Before the start it says who.
  if (
    share !== undefined &&
    error instanceof SandboxError &&
    error.code === 'overlay-in-use' &&
    error.stage === 'init'
  ) {
    const other = heldBy(dirname(share.directory), join(stateBase(), name));
    return other === undefined ? error : inUse(share.directory, other);
  }
  if (share?.program === undefined || !/virtiofsd|-fs\.sock/.test(messageOf(error))) return error;
  const { directory, program } = share;
  const holder = valueOr(() => holderOf(directory), undefined);
  // This sandbox's own server has it as long as its domain is there: then something else has failed.
  return holder === undefined || holder.isGone || holder.stateDirectory === dirname(program)
    ? error
    : inUse(directory, holder);
}

/**
 * Ends what is left of sandboxes with that directory, and whose launchers were killed: a container of theirs may write
 * there until then, and a supervisor that was killed too ends nothing.
 * @param signal is looked at between two of them
 * @throws {SandboxError} `overlay-left`, `overlay-in-use`
 * @throws why `signal` is aborted
 */
export async function endLeftSandboxes(path: string, signal?: AbortSignal): Promise<void> {
  const layers = layersOf(path);
  for (const stateDirectory of sandboxesWith(dirname(layers), '').filter(isLeft)) {
    signal?.throwIfAborted();
    const isEnded = await removeLeft(layers, stateDirectory);
    if (!isEnded && isLeft(stateDirectory)) throw inUse(layers, { pid: '', stateDirectory, isGone: false });
  }
}

/**
 * @returns false: it has an owner by now
 * @throws {SandboxError} `overlay-left`
 */
async function removeLeft(layers: string, stateDirectory: string): Promise<boolean> {
  try {
    return await removeStaleMeanwhile(stateDirectory);
  } catch (error) {
    // virt-sandbox-ctl ps does not show it: nobody has it any more.
    throw configError(
      'overlay-left',
      `the overlay in ${quote(dirname(layers))} is in use by what a killed launcher has left of the sandbox ` +
        `${basename(stateDirectory)}: ${messageOf(error)}`,
      'remove the cause; a process that does not end waits for a disk or a server: see dmesg',
      error,
    );
  }
}

/**
 * Refuses a directory whose overlay is in use.
 * @throws {SandboxError} `overlay-in-use`
 */
export function refuseUsedOverlay({ directory, layers, kind }: KeptOverlay): void {
  const holder = kind === 'machine' ? holderOf(layers) : heldBy(directory, '');
  if (holder !== undefined && !holder.isGone) throw inUse(layers, holder);
}

/**
 * Refuses a directory that a container has, also if nothing can be read there.
 * @throws {SandboxError} `overlay-in-use`
 */
export function refuseContainers(path: string): void {
  const directory = dirname(layersOf(path));
  const holder = heldBy(directory, '');
  if (holder !== undefined) throw inUse(layersOf(path), holder);
}

/** Who has the lock. */
interface Holder {
  /** The process, if it is no container. */
  readonly pid: string;
  /** The state directory of its sandbox; undefined: it is no share-server. */
  readonly stateDirectory: string | undefined;
  /** It has ended, or does just now. */
  readonly isGone: boolean;
}

function isEnding({ stateDirectory, isGone }: Holder, own: string): boolean {
  if (stateDirectory === undefined) return isGone;
  // It loses the file `owner` while it is removed.
  return stateDirectory === own || ownerText(stateDirectory) === undefined;
}

function inUse(layers: string, { pid, stateDirectory }: Holder): SandboxError {
  const who = stateDirectory === undefined ? `process ${pid}` : `the sandbox ${basename(stateDirectory)}`;
  return configError(
    'overlay-in-use',
    `the overlay in ${quote(dirname(layers))} is in use by ${who}`,
    `end ${stateDirectory === undefined ? 'it' : 'that sandbox'} first, or name another directory`,
  );
}

/**
 * Another container that has that directory, or had it when its supervisor was killed, by what is in its state directory.
 * Of those that start the kernel decides who has it.
 */
function containerWith(directory: string, own: string): Holder | undefined {
  const others = sandboxesWith(directory, own);
  const stateDirectory = others.find((other) => isLeft(other) || leadsTo(heldLink(other), directory));
  return stateDirectory === undefined ? undefined : { pid: '', stateDirectory, isGone: false };
}

/** The state directories of other sandboxes that have that directory, or want it. */
function sandboxesWith(directory: string, own: string): string[] {
  // Nothing is there before the first sandbox since the host has booted.
  return valueOr(() => readdirSync(stateBase()), [])
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(stateBase(), name))
    .filter((other) => other !== own && leadsTo(overlayLink(other), directory));
}

/** One that lives. */
function heldBy(directory: string, own: string): Holder | undefined {
  const other = containerWith(directory, own);
  return other?.stateDirectory === undefined || isLeft(other.stateDirectory) ? undefined : other;
}

function leadsTo(link: string, directory: string): boolean {
  return valueOr(() => readlinkSync(link), undefined) === directory;
}

/** "1: FLOCK  ADVISORY  WRITE 708 08:01:397 0 EOF": proc_locks(5) */
const LOCK = /^\d+: FLOCK +\S+ +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) /gm;

/** Undefined: nobody has it, or who has it is not seen here. */
function holderOf(layers: string): Holder | undefined {
  const { ino, dev } = lstatSync(layers, { bigint: true });
  for (const [, pid = '', major, minor, inode] of readFileSync('/proc/locks', 'latin1').matchAll(LOCK)) {
    if (inode !== String(ino)) continue;
    const isSame = BigInt(`0x${major}`) === majorOf(dev) && BigInt(`0x${minor}`) === minorOf(dev);
    // Some file systems without a device of their own, such as btrfs, have another number there.
    if (!isSame && (majorOf(dev) !== 0n || Number(`0x${major}`) !== 0)) continue;
    const command = valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '');
    // It has ended since /proc/locks was read, or its memory is gone and its files go next.
    if (command === '' && isSame) return { pid, stateDirectory: undefined, isGone: true };
    const stateDirectory = isOfRoot(pid) ? serverOf(command.split('\0'), layers) : undefined;
    if (isSame || stateDirectory !== undefined) return { pid, stateDirectory, isGone: false };
  }
  return undefined;
}

/** The state directory of the sandbox whose server has these words; undefined: they are another program's. */
function serverOf(words: readonly string[], layers: string): string | undefined {
  const [link = ''] = words;
  const stateDirectory = dirname(link);
  const isServer = link === overlayServer(stateDirectory) && dirname(stateDirectory) === stateBase();
  return isServer && words.includes(layers) ? stateDirectory : undefined;
}

/** Anybody may have such words. Its real user counts too: proc_pid_status(5). */
function isOfRoot(pid: string): boolean {
  return /^Uid:(?:\t0){4}$/m.test(valueOr(() => readFileSync(`/proc/${pid}/status`, 'latin1'), ''));
}

/** makedev(3) */
function majorOf(dev: bigint): bigint {
  return ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
}

function minorOf(dev: bigint): bigint {
  return (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
}

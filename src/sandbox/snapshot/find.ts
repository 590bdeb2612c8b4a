/** Finds the snapshot that a sandbox is restored from, if there is one. */

import { DEFAULT_MEMORY } from '../../config/defaults.js';
import { MIB } from '../../config/parsers/size.js';
import { countOfSlots, DEFAULT_SLOTS, mostSlots, SLOT_KINDS, type Slots } from '../../config/parsers/slots.js';
import type { SandboxConfig } from '../../config/types.js';
import { screenOf } from '../../domain/screen.js';
import type { BootImage } from '../../image/resolve.js';
import type { ImportedSnapshots, SnapshotWish } from '../../image/snapshot/import.js';
import { isOwnSnapshot, type Snapshot, type SnapshotRecord } from '../../image/snapshot/record.js';
import type { Connection, ConnectionKind } from '../../libvirt/connection.js';
import type { Profile } from '../../profile/types.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import type { Devices } from '../devices/devices.js';
import type { SlottedSnapshot } from '../devices/machine-options.js';
import { slotDevices } from '../devices/slots.js';
import { qemuGroup } from '../state/qemu-user.js';
import type { LaunchOptions } from '../types.js';
import { snapshotHost } from './host.js';
import { snapshotObstacle } from './machine.js';
import { lackOf, type SnapshotNeeds, setsOfSlots, VIRTIOFS_SET } from './slots.js';
import { imageProblem, isOfMachine, problemOf, problemText } from './validity.js';

/** The boot images of this start. */
export interface KnownImages {
  /** The one that was named. */
  readonly named: string | undefined;
  /** The one that would be built now with these module sets, if it exists. */
  known(sets: readonly string[]): BootImage | undefined;
  /** The same, which is built if it does not exist. */
  find(sets: readonly string[]): Promise<BootImage>;
  /** The snapshots of the named image, or else of all in the store, and why others cannot serve. */
  snapshots(wish: SnapshotWish): Promise<ImportedSnapshots>;
}

export interface SnapshotRequest {
  readonly config: SandboxConfig;
  readonly devices: Devices;
  readonly profile: Profile;
  readonly needs: SnapshotNeeds;
  readonly images: KnownImages;
  readonly options: LaunchOptions;
  readonly kind: ConnectionKind;
}

/** Snapshots of the right size, or why there are none. */
export interface SnapshotOffer {
  readonly candidates: readonly Snapshot[];
  readonly reason: string;
  /** The boot image of the first candidate that may be valid, if it is known to be what would be built now. */
  readonly image: BootImage | undefined;
  /**
   * Module sets of the candidates that may be valid, up to one that is; else of the first candidate. The image with them
   * shows whether it is. What cannot be built any more makes room for the next. Empty: no image has to be looked into.
   */
  readonly sets: readonly (readonly string[])[];
}

/** Looks for snapshots with enough slots. It runs at every start, and most stores have no snapshots, so it is quick. */
export async function findSnapshots(request: SnapshotRequest): Promise<SnapshotOffer> {
  const { candidates, reason } = rankSnapshots(request, await snapshotsFor(request));
  if (request.images.named !== undefined) return { candidates, reason, image: undefined, sets: [] };
  const sets: (readonly string[])[] = [];
  for (const { record } of candidates) {
    const image = request.images.known(record.sets);
    const isCurrent = image?.id === record.image;
    // It has to be looked into, or a worse one would be taken from now on, since nothing asks for the image of this one.
    if (image === undefined || isCurrent) sets.push(record.sets);
    if (isCurrent) return { candidates, reason, image: sets.length === 1 ? image : undefined, sets };
  }
  return { candidates, reason, image: undefined, sets: sets.length > 0 ? sets : candidates.slice(0, 1).map(setsOf) };
}

function setsOf({ record }: Snapshot): readonly string[] {
  return record.sets;
}

function snapshotsFor({ images, config, kind }: SnapshotRequest): Promise<ImportedSnapshots> {
  const readers = ({ acceleration }: SnapshotRecord) => qemuGroup(kind, acceleration);
  return images.snapshots({ serves: (record) => isSized(record, config), readers });
}

function isSized(record: SnapshotRecord, { memory, vcpus }: SandboxConfig): boolean {
  return record.memory === memory && record.vcpus === vcpus;
}

/** A snapshot to restore, with its boot image. */
export interface SnapshotChoice extends SlottedSnapshot {
  readonly image: BootImage;
  /** Finds the next valid one, for when this one fails to load. */
  readonly next: () => Promise<SnapshotChoice | undefined>;
}

/**
 * Selects the first valid snapshot, and tells the observer which, or why there is none. Its boot image need not be
 * `image`.
 * @throws {SandboxError} `warm-image-missing` if there is none and the config demands one
 */
export async function selectSnapshot(
  { candidates, reason }: SnapshotOffer,
  request: SnapshotRequest,
  image: BootImage,
  acceleration: 'kvm' | 'tcg',
  connection: Connection,
): Promise<SnapshotChoice | undefined> {
  const choice =
    candidates.length === 0
      ? { reason }
      : await firstValidSnapshot(request, candidates, image, acceleration, connection);
  if ('image' in choice) {
    request.options.onChoice?.(`boot: warm, from ${choice.directory}`);
    return choice;
  }
  if (request.config.boot === 'warm') throw missingError(choice.reason, request);
  request.options.onChoice?.(`boot: cold, because ${choice.reason}`);
  return undefined;
}

/**
 * Snapshots of the right size with enough slots, or why there are none. Those of exactly this machine come first, then
 * those with their root mounted, those with the device of the root, then those with the fewest slots, then those with the fewest module sets: each other set costs a lookup of its image.
 */
function rankSnapshots(
  { config, devices, needs, profile, options }: SnapshotRequest,
  { snapshots, refused }: ImportedSnapshots,
): Pick<SnapshotOffer, 'candidates' | 'reason'> {
  const none = (reason: string) => ({ candidates: [], reason });
  if (snapshots.length === 0) return none(refused[0] ?? 'there is no snapshot');
  const obstacle = snapshotObstacle(config, devices);
  if (obstacle !== undefined) return none(obstacle);
  if (options.debugInit === true)
    return none('the kernel is to show its messages, and the kernel of a snapshot is quiet');
  if (options.breakpoint) return none('it has a breakpoint');
  const sized = snapshots
    .filter(({ record }) => isSized(record, config))
    .sort(
      ({ record: a }, { record: b }) =>
        Number(b.prepared !== undefined) - Number(a.prepared !== undefined) ||
        Number(b.root === 'virtiofs') - Number(a.root === 'virtiofs') ||
        countOfSlots(a.slots) - countOfSlots(b.slots) ||
        a.sets.length - b.sets.length,
    );
  const most = sized.at(-1);
  if (most === undefined) return none('no snapshot has just this memory and these processors');
  const candidates = sized.filter(({ record }) => lackOf(record, needs) === undefined);
  if (candidates.length === 1) return { candidates, reason: '' };
  const [fitting, others] = [true, false].map((fits) =>
    candidates.filter(({ record }) => isOfMachine(record, profile) === fits),
  );
  if (candidates.length > 0) return { candidates: [...(fitting ?? []), ...(others ?? [])], reason: '' };
  // Of several, what is wrong with the one that was meant.
  const meant = sized.find(({ record }) => needs.named !== undefined && record.prepared?.name === needs.named) ?? most;
  return none(`the snapshot ${meant.directory} ${lackOf(meant.record, needs)}`);
}

/** The first valid candidate: of this boot image, or of another that is what would be built now. */
async function firstValidSnapshot(
  request: SnapshotRequest,
  candidates: readonly Snapshot[],
  image: BootImage,
  acceleration: 'kvm' | 'tcg',
  connection: Connection,
): Promise<SnapshotChoice | { readonly reason: string }> {
  const host = await snapshotHost(connection);
  return firstValid(candidates, request.devices, async (snapshot) => {
    const own = await imageOf(snapshot, image, request);
    if (own === undefined) return problemText(await imageProblem(snapshot, image.manifest));
    if (!isOwnSnapshot(snapshot)) return 'has files or directories that others may change';
    if (snapshot.record.acceleration !== acceleration) return `was baked under ${snapshot.record.acceleration}`;
    const problem = await problemOf(snapshot, request.profile, host);
    return problem ? problemText(problem) : own;
  });
}

/** @param judge returns the boot image of a valid snapshot, or what is wrong with it */
async function firstValid(
  candidates: readonly Snapshot[],
  devices: Devices,
  judge: (snapshot: Snapshot) => Promise<BootImage | string>,
): Promise<SnapshotChoice | { readonly reason: string }> {
  let reason = '';
  for (const [at, snapshot] of candidates.entries()) {
    const image = await judge(snapshot);
    if (typeof image !== 'string') {
      const others = candidates.slice(at + 1);
      const next = () => firstValid(others, devices, judge).then((choice) => ('image' in choice ? choice : undefined));
      return { ...snapshot, slotted: slotDevices(snapshot, devices), image, next };
    }
    reason ||= `the snapshot ${snapshot.directory} ${image}`;
  }
  return { reason };
}

/**
 * The boot image of a snapshot; undefined if it is not current, or not the one that was named. Which one is current the
 * store may have forgotten: only where the config demands a snapshot is that found out for each.
 */
async function imageOf(
  { record }: Snapshot,
  image: BootImage,
  { images, config }: SnapshotRequest,
): Promise<BootImage | undefined> {
  if (record.image === image.id) return image;
  if (images.named !== undefined) return undefined;
  const known = images.known(record.sets);
  // What cannot be built any more is not current.
  const found = known ?? (config.boot === 'warm' ? await images.find(record.sets).catch(() => undefined) : undefined);
  return found?.id === record.image ? found : undefined;
}

/** The error of `--boot warm`. */
function missingError(reason: string, request: SnapshotRequest): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'warm-image-missing',
    message: `no snapshot serves this sandbox: ${reason}`,
    remedy:
      snapshotObstacle(request.config, request.devices) === undefined
        ? `bake one with: ${bakeCommand(request)}`
        : `leave out ${option('boot', 'warm')}`,
  });
}

function bakeCommand({ config, needs, profile, options }: SnapshotRequest): string {
  const { memory, vcpus, acceleration, kernel, root } = config;
  const screen = screenOf(config.graphics);
  const ofImage = root.type === 'image';
  // --for brings what every image needs.
  const given: Slots = { ...DEFAULT_SLOTS, disks: ofImage ? 1 : DEFAULT_SLOTS.disks };
  const slots = SLOT_KINDS.filter((kind) => needs.slots[kind] > given[kind]).map(
    (kind) => `${kind}=${needs.slots[kind]}`,
  );
  const ofSlots = setsOfSlots(mostSlots(DEFAULT_SLOTS, needs.slots));
  const usual = [
    'console',
    'root-9p',
    ...(needs.virtiofsRoot ? [VIRTIOFS_SET] : []),
    ...ofSlots,
    ...(ofImage ? ['filesystem-erofs', 'overlay'] : []),
    ...(screen === undefined ? [] : ['graphics']),
    ...(profile.moduleSets ?? []),
  ];
  const sets = needs.sets.filter((set) => !usual.includes(set));
  const named = options.profile ?? config.profile;
  const more = [
    ...(memory === DEFAULT_MEMORY ? [] : [`--memory ${Math.ceil(memory / MIB)}M`]),
    ...(vcpus === 1 ? [] : [`--vcpus ${vcpus}`]),
    ...(acceleration === 'auto' ? [] : [`--accel ${acceleration}`]),
    ...(screen === undefined ? [] : [`--graphics=vnc,size=${screen.width}x${screen.height}`]),
    ...(needs.virtiofsRoot || ofImage ? [] : ['--root-fs 9p']),
    ...(ofImage ? ['--root docker://any'] : []),
    ...(named === undefined ? [] : [`--profile ${named}`]),
  ];
  return [
    'virt-sandbox-bake create --warm',
    ...(kernel.version === undefined ? [] : [`--kernver ${kernel.version}`]),
    ...(kernel.path === undefined ? [] : [`--kernpath ${kernel.path}`]),
    ...(kernel.modulesPath === undefined ? [] : [`--kmodpath ${kernel.modulesPath}`]),
    ...(slots.length === 0 ? [] : [`--slots ${slots.join(',')}`]),
    ...(sets.length === 0 ? [] : [`--with ${sets.join(',')}`]),
    ...(more.length === 0 ? [] : [`--for '${more.join(' ')}'`]),
  ].join(' ');
}

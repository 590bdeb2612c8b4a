/** The machine that a snapshot is made of, without what differs from sandbox to sandbox. */
import type { Slots } from '../../config/parsers/slots.js';
import type { SandboxConfig, ScreenSize } from '../../config/types.js';
import { kernelCommandLine } from '../../domain/cmdline.js';
import { type MachineOptions, machineXml } from '../../domain/machine.js';
import { processorArguments } from '../../domain/processors.js';
import { isVirtiofs, type Share } from '../../domain/shares.js';
import { sha256 } from '../../image/manifest.js';
import type { Profile } from '../../profile/types.js';
import { mayFillMemory } from '../devices/capabilities.js';
import type { Devices } from '../devices/devices.js';
import { isRoot, VIRTIOFS_ROOT_TAG } from '../devices/shares.js';
import { inSlots } from '../devices/slots.js';
import { MOST_LATE_SHARES, VIRTIOFS_SET } from './slots.js';

/** What determines the machine of a snapshot. */
export interface SnapshotShape {
  /** In bytes. */
  readonly memory: number;
  readonly vcpus: number;
  readonly acceleration: 'kvm' | 'tcg';
  readonly profile: Profile;
  readonly slots: Slots;
  /** Undefined: over 9p. */
  readonly root?: 'virtiofs' | undefined;
  /** Undefined: none. */
  readonly screen?: ScreenSize | undefined;
  /** Of the root that is mounted in it: prepared.ts. Undefined: none is. */
  readonly prepared?: string | undefined;
  /** The module sets of its boot image. */
  readonly sets: readonly string[];
}

/** Paths that differ from sandbox to sandbox. */
type Paths = Pick<MachineOptions, 'name' | 'uuid' | 'channelSocket' | 'consoleSocket'>;

/**
 * The machine that is saved. All its slots are vacant.
 * @param root what serves its root, if the shape has one over virtiofs
 */
export function savedMachine(
  shape: SnapshotShape,
  emptyDirectory: string,
  paths: Paths,
  root: Share | undefined,
): MachineOptions {
  const { memory, vcpus, acceleration, profile, slots, screen } = shape;
  return {
    ...paths,
    memory,
    vcpus,
    acceleration,
    kernel: undefined,
    initrd: undefined,
    commandLine: savedCommandLine(shape),
    tuning: profile.machine,
    qemuArguments: profile.qemuArguments ?? [],
    ownMemory: true,
    shares: inSlots(root === undefined ? [] : [root], slots, emptyDirectory),
    slots: slots,
    // Who looks at it is no part of the machine.
    screen: screen && { ...screen, viewers: 'none' },
  };
}

export function savedCommandLine({ profile, vcpus, acceleration, sets }: SnapshotShape): string {
  return kernelCommandLine(profile, {
    // A sandbox of it may have shares that virtiofsd serves: see snapshotObstacle().
    writtenBehindEmulator: acceleration === 'tcg' && (process.getuid?.() === 0 || sets.includes(VIRTIOFS_SET)),
    processors: processorArguments(vcpus, acceleration),
  });
}

/** Signatures by profile, then by the rest of the machine: a start asks for the same one several times. */
const SIGNATURES = new WeakMap<Profile, Map<string, string>>();

/**
 * Machines with the same signature have the same devices at the same addresses, and the same kernel arguments.
 * @param commandLine default: the arguments that such a machine would get now
 */
export function machineSignature(wanted: SnapshotShape, commandLine = savedCommandLine(wanted)): string {
  const { profile, memory, vcpus, acceleration, slots, root, screen, prepared } = wanted;
  const known = SIGNATURES.get(profile) ?? new Map<string, string>();
  SIGNATURES.set(profile, known);
  const key = JSON.stringify([memory, vcpus, acceleration, slots, root, screen, prepared, commandLine]);
  const signature = known.get(key) ?? newSignature(wanted, commandLine);
  known.set(key, signature);
  return signature;
}

/** Whoever starts it, and wherever it listens, the device is the same. */
const SOME_ROOT: Share = {
  tag: VIRTIOFS_ROOT_TAG,
  directory: '/',
  readOnly: true,
  transport: 'virtiofs',
  socket: '/rootfs',
};

function newSignature(wanted: SnapshotShape, commandLine: string): string {
  const qemuArguments = withoutTracing(wanted.profile.qemuArguments ?? []);
  const shape = { ...wanted, profile: { ...wanted.profile, qemuArguments } };
  const uuid = '00000000-0000-0000-0000-000000000000';
  const paths: Paths = { name: 'warm', uuid, channelSocket: '/channel', consoleSocket: '/console' };
  const root = wanted.root === undefined ? undefined : SOME_ROOT;
  const xml = machineXml({ ...savedMachine(shape, '/empty', paths, root), commandLine });
  // A version that knows no such machines takes none of them.
  return sha256(wanted.prepared === undefined ? xml : `${xml}\nprepared: ${wanted.prepared}`);
}

/** Why no snapshot can serve this sandbox, whatever its slots. */
export function snapshotObstacle(config: SandboxConfig, { shares }: Pick<Devices, 'shares'>): string | undefined {
  const served = shares.filter(isVirtiofs);
  // Whether the root takes one of the places depends on the snapshot: lackOf().
  if (served.filter((share) => !isRoot(share)).length > MOST_LATE_SHARES)
    return `it has more than ${MOST_LATE_SHARES} mounts that virtiofs serves, and a snapshot has no room for them`;
  // A server of the user's own goes with a QEMU of the user's own.
  const isOwn = process.geteuid?.() !== 0 && served.every(({ socket }) => socket !== undefined);
  if (served.length > 0 && !isOwn && !mayFillMemory())
    return `it has a ${served.every(isRoot) ? 'root' : 'mount'} that virtiofs serves, and only root with CAP_SYS_PTRACE can restore a snapshot for that`;
  if (config.nestedKvm) return 'it has --nested-kvm, and a snapshot has another processor';
  const { numa, numaNodes, hugePages } = config.tuning;
  if (numa.length > 0) return 'it has --numa, and the machine of a snapshot has no nodes';
  if (numaNodes) return 'it has --numa-nodes, and the memory of a snapshot is where the host has read it';
  if (hugePages !== undefined) return 'it has --huge-pages, and the memory of a snapshot is a file';
  if (config.sound) return 'it has a sound card, which QEMU cannot save';
  if (config.shell) return 'it has a debug shell';
  return undefined;
}

/** QEMU's arguments without its logging and tracing, which are no part of the machine. */
function withoutTracing(words: readonly string[]): string[] {
  return words.filter((word, at) => ![word, words[at - 1]].some((one) => one === '-D' || one === '-trace'));
}

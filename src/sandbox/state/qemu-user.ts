/**
 * The user that QEMU runs as, one for each sandbox of root's. So no QEMU can signal, trace or read another, or write to
 * the boot images, whatever its guest has made of it.
 */
import { readFileSync, statSync } from 'node:fs';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { valueOr } from '../../util/errors.js';
import { type IdRange, NETWORK_IDS, QEMU_IDS, SMALL_QEMU_IDS } from '../../util/qemu-ids.js';

export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

export interface QemuUser extends UserIds {
  /** It is the user of other sandboxes too, and libvirt makes it the owner of the disks. */
  readonly isShared: boolean;
}

const KVM = '/dev/kvm';

/**
 * The user for the sandbox with this state directory. Undefined if QEMU is not ours to give a user: QEMU of an ordinary
 * user runs as that user, or as libvirt's daemon decides.
 *
 * The uid is the inode number of the state directory, behind the first of the range. Where that is a tmpfs, two
 * sandboxes that run at once have two.
 *
 * @param isShared All sandboxes with disks that libvirt gives away have the first uid. libvirt does not give read-only
 *   disks back, and refuses a disk to another user after a crash.
 */
export function qemuUser(
  stateDirectory: string,
  kind: ConnectionKind,
  { acceleration, isShared }: { acceleration: 'kvm' | 'tcg'; isShared: boolean },
): QemuUser | undefined {
  const range = rangeFor(kind);
  if (range === undefined) return undefined;
  const own = ownNumber(stateDirectory, range);
  return { uid: range.first + (isShared ? 0 : own), gid: groupIn(range, acceleration), isShared };
}

/** Whether {@link qemuUser} gives QEMU a user. */
export function hasQemuUser(kind: ConnectionKind): boolean {
  return rangeFor(kind) !== undefined;
}

/**
 * Whether libvirt makes the user of its choice the owner of disks, kernel and initrd, where {@link qemuUser} gives QEMU
 * none: a libvirtd of root's does, and so does the embedded driver of root.
 */
export function givesToItsUser(kind: ConnectionKind): boolean {
  return kind === 'system' || (kind === 'embedded' && process.geteuid?.() === 0);
}

/** The group of those users, which may read root's snapshots; undefined where {@link qemuUser} is. */
export function qemuGroup(kind: ConnectionKind, acceleration: 'kvm' | 'tcg'): number | undefined {
  const range = rangeFor(kind);
  return range && groupIn(range, acceleration);
}

function rangeFor(kind: ConnectionKind): IdRange | undefined {
  if (process.geteuid?.() !== 0 || (kind !== 'embedded' && kind !== 'system')) return undefined;
  return [QEMU_IDS, SMALL_QEMU_IDS].find(isMapped);
}

function groupIn({ first }: IdRange, acceleration: 'kvm' | 'tcg'): number {
  return (acceleration === 'kvm' ? groupOfKvm() : undefined) ?? first;
}

/**
 * The user for what serves the network of the sandbox with this state directory: not QEMU's, since it may open
 * connections that the guest may not, and in no group of QEMU's. Undefined for an ordinary user.
 *
 * On a host that has few ids it may be the user of another sandbox's QEMU.
 */
export function networkUser(stateDirectory: string): UserIds | undefined {
  return serverUser(stateDirectory, () => 1);
}

/**
 * The user for what serves the root over virtiofs: not QEMU's, which could make it do what is forbidden to QEMU, and not
 * that of the network. Else as {@link networkUser}.
 */
export function rootServerUser(stateDirectory: string): UserIds | undefined {
  // Inode numbers of directories in memory are small, so that the two halves of a large range meet nowhere.
  return serverUser(stateDirectory, ({ count }) => (count > SMALL_QEMU_IDS.count ? Math.floor(count / 2) : 2));
}

/** @param shift how far the id is from the sandbox's own number: another one in a range that is QEMU's too */
function serverUser(stateDirectory: string, shift: (range: IdRange) => number): UserIds | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const range = [NETWORK_IDS, SMALL_QEMU_IDS].find(isMapped);
  if (range === undefined) return undefined;
  const own = ((ownNumber(stateDirectory, range) - 1 + shift(range)) % (range.count - 1)) + 1;
  const id = range.first + own;
  return { uid: id, gid: id };
}

/** From 1 to the last of the range. */
function ownNumber(stateDirectory: string, range: IdRange): number {
  const { ino } = statSync(stateDirectory, { bigint: true });
  return 1 + Number(ino % BigInt(range.count - 1));
}

/** The group that /dev/kvm needs; undefined: everybody may open it. */
function groupOfKvm(): number | undefined {
  const found = statSync(KVM, { throwIfNoEntry: false });
  return found === undefined || (found.mode & 0o006) === 0o006 ? undefined : found.gid;
}

/** Whether this user namespace has all those ids. user_namespaces(7) */
export function isMapped({ first, count }: IdRange): boolean {
  return ['/proc/self/uid_map', '/proc/self/gid_map'].every((map) =>
    valueOr(() => readFileSync(map, 'latin1'), '')
      .trim()
      .split('\n')
      .some((line) => {
        const [from = 0, , length = 0] = line.trim().split(/ +/).map(Number);
        return from <= first && first + count <= from + length;
      }),
  );
}

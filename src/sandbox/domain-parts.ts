/** What a domain is made of, where QEMU finds it. */
import type { DiskDevice } from '../domain/disks.js';
import type { Share } from '../domain/shares.js';
import { withLoopLinks } from './devices/loop-links.js';
import { isRoot } from './devices/shares.js';
import type { Prepared, PreparedMachine } from './prepare/prepared.js';
import { copyBootFiles, isKernelGivenAway } from './start/own-kernel.js';
import type { QemuUser } from './state/qemu-user.js';
import type { StateDirectory } from './state/state-directory.js';

interface Found {
  /** Undefined: that of libvirt's choice. */
  readonly user: QemuUser | undefined;
  /** The disks by the paths that QEMU knows; undefined: it has none, or finds them where the user does. */
  readonly disks: readonly DiskDevice[] | undefined;
  readonly state: StateDirectory;
}

/** Copies kernel and initrd if libvirt gives them to QEMU's user. Gives images of a container shorter paths. */
export async function partsOfDomain(prepared: Prepared, { user, disks, state }: Found): Promise<Prepared> {
  if (prepared.platform === 'container')
    return { ...prepared, devices: { ...prepared.devices, disks: withLoopLinks(prepared.devices.disks, state) } };
  const image = await imageOf(prepared, user, state);
  const devices = disks === undefined ? prepared.devices : { ...prepared.devices, disks };
  return { ...prepared, image, devices };
}

/** Only a machine that boots reads them. */
async function imageOf(
  { image, snapshot, connection }: PreparedMachine,
  user: QemuUser | undefined,
  state: StateDirectory,
): Promise<PreparedMachine['image']> {
  if (snapshot !== undefined || !isKernelGivenAway(connection.kind, user)) return image;
  return { ...image, ...(await copyBootFiles(image, state)) };
}

/** Undefined: the root is something else, or a container's. */
export function rootShareOf({ platform, devices }: Prepared): Share | undefined {
  return platform === 'machine' ? devices.shares.find(isRoot) : undefined;
}

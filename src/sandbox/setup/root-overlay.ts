/** Lays an overlay over the root of a container. Loaded only for one with an overlay. */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestConfig } from '../../../init/common/config.js';
import { IMAGE_STAGE, STAGE } from '../../../init/common/container.js';
import { type Devices, deviceOf } from '../../../init/common/disks.js';
import { StepError } from '../../../init/common/drive.js';
import {
  coverable,
  layOverRoot,
  mountImageRoot,
  OVERLAY_STEP,
  RootOverlayError,
} from '../../../init/common/root-overlay.js';
import { MNT_DETACH } from '../../../init/common/step.js';
import type { Root } from '../../config/types.js';
import { type Guest, OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { option, shortOption } from '../../util/option-names.js';
import { isHeldByOther, noteHeld } from '../devices/overlay-server.js';
import type { Console } from '../start/console.js';
import type { Observers } from '../types.js';
import { stepError } from './step-errors.js';
import { withoutLinks } from './ways.js';

/** How often to look for another container that has the directory, in milliseconds. */
const LOOK_MS = 500;

const MACHINE = `run a machine: ${shortOption('connect', 'qemu:///embed')}`;

/**
 * Makes the overlays, before the plan. Says which mounts stay read-only.
 * @param root the config's: a directory of the host, or an OCI image, which is mounted
 * @returns the config whose hidden paths can be covered in them, and whose mounts go over no links
 * @throws {SandboxError} `overlay-failed`, `overlay-in-use`, `overlay-link`, `root-link`, `erofs-unsupported`,
 *   `erofs-file-unsupported`, or the init's `init-step-failed`
 */
export async function setUpOverlay(
  guest: Guest,
  config: GuestConfig,
  root: Root,
  devices: Devices,
  console: Console,
  stateDirectory: string,
  { onChoice }: Pick<Observers, 'onChoice'>,
): Promise<GuestConfig> {
  const isKept = config.rootOverlay?.kept !== undefined;
  const isImage = root.type === 'image';
  // Where it can be seen what it has itself, and what an earlier run has left.
  const pure = isImage && isKept ? [IMAGE_STAGE] : [];
  try {
    if (isImage) await mountImage(guest, config, devices, pure);
    const laying = layOverRoot(guest, config);
    if (isKept) await unlessHeld(laying, stateDirectory);
    for (const sentence of await laying) onChoice?.(`overlay: ${sentence}`);
    if (isKept) noteHeld(stateDirectory);
    const covered = { ...config, hidden: await coverable(guest, config.hidden ?? [], isKept) };
    const ways = await withoutLinks(guest, covered, isImage ? undefined : root.path);
    for (const path of pure) await guest.call({ op: 'unmount', path, flags: MNT_DETACH });
    return { ...covered, ...ways };
  } catch (error) {
    if (error instanceof OperationError) throw stepError(new StepError(OVERLAY_STEP, error), console, config);
    if (!(error instanceof RootOverlayError)) throw error;
    if (error.isInUse) throw inUseError(error);
    throw new SandboxError({
      stage: 'init',
      code: 'overlay-failed',
      message: `an overlay cannot be laid over the root: ${error.message}`,
      remedy: overlayRemedy(error, { isKept, isImage }),
      cause: error,
    });
  }
}

/** The mount itself loads the kernel's module, if there is one. */
async function mountImage(guest: Guest, config: GuestConfig, devices: Devices, at: readonly string[]): Promise<void> {
  try {
    await mountImageRoot(guest, config, devices, at);
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    if (isFile(config, devices) && NO_FILE.includes(error.errno)) throw fileError(error);
    if (error.errno !== constants.errno.ENODEV) throw error;
    throw new SandboxError({
      stage: 'init',
      code: 'erofs-unsupported',
      message: `the root of an image is EROFS, and the kernel of this host does not know it: ${error.message}`,
      remedy: `load its module (modprobe erofs), or ${MACHINE}`,
      cause: error,
    });
  }
}

/** ENOTBLK, which Node.js has no name for: it takes devices only. The others: the file system is one too many. */
const NO_FILE: readonly number[] = [15, constants.errno.EINVAL, constants.errno.ELOOP];

/** Whether the image is no disk, but mounted from where libvirt has bound it. */
function isFile({ root }: GuestConfig, devices: Devices): boolean {
  return root.type === 'image' && deviceOf(devices, root.serial).startsWith(`${STAGE}/`);
}

function fileError(error: OperationError): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'erofs-file-unsupported',
    message: `the kernel of this host does not mount the file of the image: ${error.message}`,
    remedy: `keep images on ext4, xfs or btrfs (XDG_CACHE_HOME), or ${MACHINE}`,
    cause: error,
  });
}

/**
 * Waits for the overlays. root-overlay waits for a container that has ended, and need not wait for one that goes on.
 * @throws {SandboxError} `overlay-in-use`; and what `laying` throws
 */
async function unlessHeld(laying: Promise<unknown>, stateDirectory: string): Promise<void> {
  const done = new AbortController();
  const ended = laying.finally(() => done.abort());
  ended.catch(() => {});
  while (!done.signal.aborted) {
    const pause = sleep(LOOK_MS, undefined, { signal: done.signal }).catch(() => {});
    await Promise.race([ended, pause]);
    if (!done.signal.aborted && isHeldByOther(stateDirectory)) throw inUseError();
  }
  await ended;
}

/** Who has it, the kernel does not say: overlayReason() of src/sandbox/devices/overlay-server.ts. */
function inUseError(cause?: RootOverlayError): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'overlay-in-use',
    message:
      'the directory that keeps the overlay is in use: by another container, or the kernel still writes out what the last ' +
      'one has changed',
    remedy: 'end that container, or try again when the disk has less to do',
    cause,
  });
}

/** Of what the overlay is. */
interface OverlayFacts {
  /** A directory keeps it. */
  readonly isKept?: boolean;
  /** The root is that of an OCI image. */
  readonly isImage?: boolean;
}

/** What to do about it. Exported for tests. */
export function overlayRemedy(
  { errno, isOfIds }: Pick<RootOverlayError, 'errno' | 'isOfIds'>,
  { isKept = false, isImage = false }: OverlayFacts = {},
): string {
  const { E2BIG, EACCES, EDQUOT, ENOMEM, ENOSPC, ETIMEDOUT } = constants.errno;
  if (errno === ETIMEDOUT) return 'try again when this host has less to do';
  if (isOfIds) return `see that this host has user namespaces (sysctl user.max_user_namespaces), or ${MACHINE}`;
  if (errno === E2BIG) return `unmount some of what is mounted below the root, or take another one (${option('root')})`;
  if (isKept && (errno === ENOSPC || errno === EDQUOT))
    return 'free some space where the overlay is kept, and see sysctl fs.mount-max';
  if (errno === ENOMEM || errno === ENOSPC)
    return `give the sandbox more memory (${option('memory')}), and see that this host has it and sysctl fs.mount-max`;
  if (errno === EACCES)
    return `let that user enter it (root inside is nobody on this host), or take another root (${option('root')})`;
  if (isImage) {
    const kept = isKept ? ', and a directory on ext4, xfs or btrfs, which is no overlay itself' : '';
    return `it takes Linux 5.19 with overlayfs${kept}; or ${MACHINE}`;
  }
  const where = isKept
    ? 'a root and a directory on ext4, xfs or btrfs, which are no overlays themselves'
    : 'a root on ext4, xfs or btrfs, which is no overlay itself';
  return `it takes Linux 5.19 with overlayfs, and ${where} (${option('root')}); or ${MACHINE}`;
}

/** Explains why a mount failed. */

import { constants } from 'node:os';
import type { GuestConfig, GuestMount } from '../../../init/common/config.js';
import type { StepError } from '../../../init/common/drive.js';
import { HOME_STEP } from '../../../init/common/mounts.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';

const { ENOENT, ENOTDIR, EROFS, ENODEV, EACCES, EINVAL, ENOMEM, ENOSYS } = constants.errno;

export interface MountFailure {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** Undefined if another step failed. */
export function mountFailure(error: StepError, config: GuestConfig): MountFailure | undefined {
  const { root, mounts, identity, overlay } = config;
  if (isUnmapped(error)) return ownersFailure(error);
  if (isOverlay(error)) return overlayFailure(error);
  if (overlay?.type === 'image' && isKept(error)) return keptFailure(error);
  if (error.step === 'root') {
    const moved = movedOverOther(error);
    if (moved !== undefined) return rootLinkFailure(moved, config);
    const isMount = error.operation.operation === 'mount' && error.operation.message.includes(', /newroot,');
    return isMount && root.type === 'image' ? contentsFailure({ ...root, target: '/' }, error) : undefined;
  }
  if (error.step === HOME_STEP) return homeFailure(identity.home, error);
  const mount = mounts[Number(/^mount\.(\d+)$/.exec(error.step)?.[1])];
  if (mount === undefined) return undefined;
  const { operation, errno } = error.operation;
  if (operation === 'stat') return sourceFailure(mount, error);
  if (operation === 'mkdir' || errno === ENOENT || errno === ENOTDIR) return targetFailure(mount, error);
  return contentsFailure(mount, error);
}

/** Whether the file system, or the kernel, has no mounts with other owners. mount_setattr(2) */
function isUnmapped({ operation: { operation, errno, message } }: StepError): boolean {
  return operation === 'mapMount' && (errno === EINVAL || errno === ENOSYS) && message.startsWith('mount_setattr(');
}

function ownersFailure(error: StepError): MountFailure {
  return {
    code: 'mount-owners-unsupported',
    message: `root inside the container would own no file of a mount, whose file system cannot do that: ${error.message}`,
    remedy:
      'bind a directory of another file system (ext4, xfs, btrfs; tmpfs since Linux 6.3), or run as the owner of the ' +
      `files, with ${forCaller({ commandLine: '-S USER', program: 'identity' })}`,
  };
}

/** What of libvirt's root could not be moved into the new one, since no directory is there: move_mount(2) */
function movedOverOther({ operation: { operation, errno, message } }: StepError): string | undefined {
  if (operation !== 'mount' || errno !== EINVAL) return undefined;
  return /^mount\(\S+, \/newroot(\/\w+), \)/.exec(message)?.[1];
}

/** @param path where the root has a symbolic link, or a file */
export function rootLinkFailure(path: string, { ociRoot = false }: Pick<GuestConfig, 'ociRoot'>): MountFailure {
  const what = ociRoot ? 'image' : 'root';
  return {
    code: 'root-link',
    message: `the ${what} has a symbolic link or a file at ${path}, where a sandbox needs a directory`,
    remedy: `see that ${path} is a directory in it, or take another ${what}`,
  };
}

function isOverlay({ step, operation: { operation, message } }: StepError): boolean {
  return step === 'root' && operation === 'mount' && message.startsWith('mount(overlay, ');
}

function overlayFailure({ message }: StepError): MountFailure {
  return {
    code: 'overlay-failed',
    message: `an overlay cannot be laid over the root: ${message}`,
    remedy: 'use a kernel of version 4.19 or later; LIBVIRT_SANDBOX_INIT_DEBUG=1 shows what it says',
  };
}

/** Whether the file system of the overlay could not be mounted, or has something else in the places of the layers. */
function isKept({ step, operation: { message } }: StepError): boolean {
  return step === 'root' && /^mount\(\S+, \/overlay\/kept,|^(mkdir|stat)\(\/overlay\/kept\//.test(message);
}

function keptFailure({ message, operation: { operation, errno } }: StepError): MountFailure {
  if (operation === 'stat' && errno === ENOENT)
    return {
      code: 'overlay-of-other-root',
      message: 'the image of the overlay was not made for the file system of this OCI image',
      remedy: `name a file of its own with ${option('overlay')}, or run the image that it was made for`,
    };
  return {
    code: 'overlay-image-invalid',
    message: `the image of the overlay has no ext4 file system, or a broken one: ${message}`,
    remedy: `check it with fsck.ext4, as a disk of another sandbox (${option('disks')}), or name a new file`,
  };
}

function homeFailure(home: string, { message, operation: { errno, operation } }: StepError): MountFailure {
  const another = `set HOME to one that is there, or to /tmp/home, or leave out ${option('home')}`;
  if (errno === EACCES) {
    return {
      code: 'home-closed-inside',
      message: `the home directory ${home} cannot be reached inside, as the files of the root are read as a user who may not: ${message}`,
      remedy: another,
    };
  }
  if (operation === 'mount' && errno !== ENOENT && errno !== ENOTDIR) {
    return {
      code: 'home-not-mounted',
      message: `nothing can be mounted on the home directory ${home}: ${message}`,
      remedy: `leave out ${option('home')}`,
    };
  }
  return {
    code: 'home-missing',
    message: `the home directory ${home} is not there inside, and cannot be made: ${message}`,
    remedy: `make it on the host, ${another}`,
  };
}

function sourceFailure(mount: GuestMount, error: StepError): MountFailure {
  const source = mount.type === 'bind' ? mount.source : mount.target;
  return {
    code: 'mount-source-missing',
    message: `the source ${source} of the mount on ${mount.target} is not there inside: ${error.message}`,
    remedy: 'bind something that is in the root, or in a mount that is named before this one',
  };
}

function targetFailure({ target }: GuestMount, error: StepError): MountFailure {
  const { errno } = error.operation;
  if (errno === ENOTDIR) {
    return {
      code: 'mount-target-not-directory',
      message: `the target ${target} of a mount is not a directory inside: ${error.message}`,
      remedy: 'choose a target that is a directory, or that is not there yet in a mount that can be written to',
    };
  }
  const isReadOnly = errno === EROFS || errno === EACCES || errno === ENOENT;
  const why = isReadOnly ? ', because what it would be in is read-only' : '';
  return {
    code: 'mount-target-missing',
    message: `the target ${target} of a mount is not there, and cannot be made${why}: ${error.message}`,
    remedy: `make the directory on the host, choose one that is there (/mnt), or first mount a ram: (${shortOption('mounts')}) on one above it`,
  };
}

const CALLED: Readonly<Record<GuestMount['type'], string>> = {
  '9p': 'directory',
  virtiofs: 'directory',
  staged: 'directory',
  image: 'image',
  ram: 'memory',
  bind: 'bind',
};

function contentsFailure(mount: GuestMount, error: StepError): MountFailure {
  const what = mount.type === 'image' ? `an ${mount.filesystem} image` : CALLED[mount.type];
  return {
    code: 'mount-failed',
    message: `the mount on ${mount.target} (${what}) failed: ${error.message}`,
    remedy: contentsRemedy(mount, error.operation.errno),
  };
}

function contentsRemedy(mount: GuestMount, errno: number): string {
  if (mount.type === 'image') {
    if (errno === EROFS || (errno === EACCES && mount.readOnly)) {
      return 'it was not unmounted cleanly and must be repaired first: mount it once without ,ro';
    }
    if (errno === ENODEV) return 'choose a kernel that has this file system (--kernver)';
    return 'check the file system with its fsck, and see LIBVIRT_SANDBOX_INIT_DEBUG=1 for what the kernel says';
  }
  if (mount.type === 'ram' && (errno === EINVAL || errno === ENOMEM)) return 'ask for a smaller size';
  if (mount.type === '9p') return 'see that the user that QEMU runs as may read that directory and those above it';
  return 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see every step';
}

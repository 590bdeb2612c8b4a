/**
 * Copies of kernel and initrd, for a machine whose QEMU libvirt makes their owner. A QEMU that its guest has taken over
 * could change what others boot.
 */
import { constants } from 'node:fs';
import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { createContentFile } from '../../util/selinux.js';
import { givesToItsUser, type QemuUser } from '../state/qemu-user.js';
import type { StateDirectory } from '../state/state-directory.js';
import { copyError } from './boot-errors.js';

/** The files that a machine boots from. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * Whether libvirt gives a machine's kernel and initrd to QEMU's user. A libvirtd of root's does, and so does the
 * embedded driver of root: with the disks if it gives those away, and always where libvirt chooses the user.
 * @param user from `qemuUser`
 */
export function isKernelGivenAway(kind: ConnectionKind, user: QemuUser | undefined): boolean {
  return user === undefined ? givesToItsUser(kind) : user.isShared;
}

/**
 * Copies both into the state directory, which is removed with the sandbox.
 * @returns the copies, by paths as short as those of the sockets
 * @throws {SandboxError} `state-not-writable`
 */
export async function copyBootFiles(
  { kernel, initrd }: BootFiles,
  { path, sockets }: Pick<StateDirectory, 'path' | 'sockets'>,
): Promise<BootFiles> {
  const copy = async (from: string, name: string): Promise<string> => {
    try {
      createContentFile(join(path, name));
      await copyFile(from, join(path, name), constants.COPYFILE_FICLONE);
      await chmod(join(path, name), 0o444);
    } catch (error) {
      throw copyError(from, path, error);
    }
    return join(sockets, name);
  };
  return { kernel: await copy(kernel, 'kernel'), initrd: await copy(initrd, 'initrd') };
}

/**
 * The file system of an OCI image in a container, without a loop device. Such a device would be a disk of the host:
 * everybody reads its path in sysfs, and programs of the host look into it. So the init mounts the file itself, from its
 * directory, which libvirt binds.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { basename, dirname } from 'node:path';
import { STAGE } from '../../../init/common/container.js';
import type { Share } from '../../domain/shares.js';
import { valueOr } from '../../util/errors.js';

const TAG = 'image-file';
/** Linux 6.12 has CONFIG_EROFS_FS_BACKED_BY_FILE. */
const SINCE = [6, 12] as const;
const ABSENT = '# CONFIG_EROFS_FS_BACKED_BY_FILE is not set';

/**
 * File systems whose files it does not take, from <linux/magic.h>: those in memory, which have no pages to read ahead,
 * and those on another (overlayfs, ecryptfs), as the sandbox's overlay would be one too many.
 */
const UNFIT: readonly number[] = [0x0102_1994, 0x8584_58f6, 0x794c_7630, 0xf15f];

/** Whether the kernel of this host mounts that EROFS file. */
export function mountsFile(path: string, kernel = release()): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  if (major < SINCE[0] || (major === SINCE[0] && minor < SINCE[1])) return false;
  if (UNFIT.includes(statfsSync(path).type)) return false;
  // Few kernels lack it, and not every host keeps the list.
  return !valueOr(() => readFileSync(`/boot/config-${kernel}`, 'latin1'), '').includes(ABSENT);
}

/** What libvirt binds, and the path that the init mounts: it takes the bind away then. */
export function fileInContainer(path: string): { readonly share: Share; readonly path: string } {
  const share = { tag: TAG, directory: dirname(path), readOnly: true, transport: '9p' } as const;
  return { share, path: `${STAGE}/${TAG}/${basename(path)}` };
}

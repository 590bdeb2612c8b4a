/** What the programs of the host take a container's image for, where libvirt makes a loop device of it. */
import { execa } from 'execa';
import type { SandboxConfig } from '../../config/types.js';
import { SandboxError } from '../../util/errors.js';
import { option } from '../../util/option-names.js';
import { findInPath } from '../../util/programs.js';
import { mountsFile } from '../devices/erofs-file.js';

const TIMEOUT_MS = 10_000;

/**
 * Asks blkid, which udev asks too: what looks like one of a volume group or of a RAID, the host sets up. Nothing in the
 * first blocks of an image, nor in its last ones, is the image's own (src/oci/erofs/format.ts); some kinds lie elsewhere.
 * @throws {SandboxError} `image-looks-otherwise`
 */
export async function checkLoopImage({ root }: Pick<SandboxConfig, 'root'>): Promise<void> {
  if (root.type !== 'image' || root.stored === undefined || mountsFile(root.stored.path)) return;
  const program = findInPath('blkid');
  // Where it is missing, so is what would ask it.
  if (program === undefined) return;
  const words = ['--probe', '--output', 'value', '--match-tag', 'TYPE', root.stored.path];
  const { stdout } = await execa(program, words, { reject: false, timeout: TIMEOUT_MS, stdin: 'ignore' });
  if (stdout === 'erofs') return;
  throw new SandboxError({
    stage: 'config',
    code: 'image-looks-otherwise',
    message: `libvirt would make the image's file system a disk of this host, and blkid does not take it for EROFS: ${stdout || 'it cannot tell'}`,
    remedy: `take another image (${option('root')}), or run a machine: ${option('connect', 'qemu:///embed')}`,
  });
}

/**
 * The image that keeps an overlay. A guest has written what is in it, so the host looks at no more than QEMU's header;
 * the guest's own kernel mounts what is behind that.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, linkSync, lstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keptFor } from '../../../init/common/overlay.js';
import { configError, quote } from '../../config/errors.js';
import type { Root, SandboxConfig } from '../../config/types.js';
import { furtherFile } from '../../disk-image/stands-alone.js';
import type { DiskDevice } from '../../domain/disks.js';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { othersWhoMayReplace } from '../../util/ownership.js';
import { isQemuUid } from '../../util/qemu-ids.js';
import { sphere } from '../../util/sphere.js';
import { startTime } from '../state/state-directory.js';
import { OVERLAY_SERIAL } from './overlay.js';
import { findTool, runTool } from './overlay-tools.js';

/** Bytes of a new image, if nothing is said. It takes as much space as is written. */
export const OVERLAY_IMAGE_BYTES = 10 * 2 ** 30;

/** The group's bits and those of others that let them write. */
const OTHERS_WRITE = 0o022;

/** Makes what an image has in the beginning, in that directory. */
export type FillImage = (directory: string) => Promise<void>;

/** Time limit of a program that copies, in milliseconds: it may be much. */
const FILLING = 1_800_000;

/** More than an image takes to be made, in milliseconds. */
const MAKING = 3_600_000;

/**
 * ext4 as every kernel since 4.19 mounts it, whatever the host's mke2fs.conf says. Nothing is kept back for root: the
 * kernel writes all of an overlay as root. mke2fs(8)
 */
export const EXT4 = [
  ...['-t', 'ext4', '-b', '4096', '-I', '256', '-m', '0'],
  '-O',
  'none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,' +
    'extra_isize,metadata_csum',
];

/** Of `-E`, of which mke2fs(8) takes the last one alone. */
export const EXT4_EXTENDED = 'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0';

const LABEL = ['-L', 'overlay'];

/** Bytes for each inode, and MiB of the journal. */
const SIZES = ['-i', '16384', '-J', 'size=64'];

/**
 * Checks the image. It may be missing.
 * @throws {SandboxError} `overlay-image-not-file`, `overlay-image-not-owned`, `overlay-image-open`,
 *   `overlay-image-names-file`, `overlay-image-unusable`
 */
export function checkOverlayImage({ overlay }: SandboxConfig): void {
  if (overlay?.type !== 'image') return;
  const { path } = overlay;
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) lstatSync(dirname(path));
    else checkFound(path, found);
    const writers = writersOf(path, found);
    if (writers !== undefined) throw open(path, writers);
  } catch (error) {
    throw unusable(path, error);
  }
}

/**
 * Makes the image if it is missing. It has its name when it is complete and on the disk.
 * @param bytes of a new one
 * @param fill makes what a new one has in the beginning, in a directory that becomes its topmost one
 * @param workplace where that is done, as {@link overlayWorkplace} names it; it is gone then
 * @throws {SandboxError} `overlay-tool-missing`, `overlay-tool-killed`, `overlay-image-too-small`, what `fill` throws, and as
 *   {@link checkOverlayImage}
 */
export async function makeOverlayImage(
  config: SandboxConfig,
  bytes = OVERLAY_IMAGE_BYTES,
  fill?: FillImage,
  workplace?: string,
): Promise<void> {
  checkOverlayImage(config);
  const { overlay } = config;
  if (overlay?.type !== 'image') return;
  // An image that is there is of use without that.
  await removeStale(dirname(overlay.path)).catch(() => {});
  if (lstatSync(overlay.path, { throwIfNoEntry: false }) !== undefined) return;
  const directory = workplace ?? overlayWorkplace(overlay.path);
  try {
    await mkdir(directory, { mode: 0o700 });
    linkTo(overlay.path, await makeIn(directory, config, { bytes, fill }));
  } catch (error) {
    throw unusable(overlay.path, error);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  checkOverlayImage(config);
}

/** Another one each time, beside the image. What a process that was killed leaves there is recognised by its name. */
export function overlayWorkplace(image: string): string {
  const maker = `${sphere()}-${process.pid}-${startTime(process.pid)}`;
  return join(dirname(image), `.overlay-${maker}-${randomBytes(8).toString('hex')}.tmp`);
}

/**
 * The error for a domain that was not started because something else has the image.
 * @param error any reason for the end of a start
 * @param disks all of the domain
 * @returns `error` itself, if it is not that
 */
export function overlayImageReason(error: unknown, disks: readonly DiskDevice[]): unknown {
  if (!(error instanceof SandboxError) || error.code !== 'image-in-use') return error;
  const [image, ...others] = disks.filter(({ source }) => error.message.includes(source));
  if (image?.serial !== OVERLAY_SERIAL || others.length > 0) return error;
  return new SandboxError({
    stage: 'domain',
    code: 'overlay-in-use',
    message: `the overlay in ${quote(image.source)} is in use by another sandbox, or the image is by another program`,
    remedy: 'end that first, or name another file',
    cause: error,
  });
}

/** "2: OFDLCK ADVISORY  READ -1 fe:00:1234 100 101": proc_locks(5). QEMU shows so what it does with an image. */
const QEMU_LOCK = /^\d+: OFDLCK +\S+ +\S+ +-?\d+ [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$/gm;

/** The byte that QEMU locks of an image that it may write to: raw_apply_lock_bytes() of its block/file-posix.c */
const QEMU_WRITES = 101;

/** Whether a QEMU of this host may write to the image. Another file system may have a file of that number too. */
export function isImageInUse(path: string): boolean {
  const { ino } = lstatSync(path, { bigint: true });
  return [...readFileSync('/proc/locks', 'latin1').matchAll(QEMU_LOCK)].some(
    ([, inode, first, last]) =>
      inode === String(ino) && Number(first) <= QEMU_WRITES && (last === 'EOF' || Number(last) >= QEMU_WRITES),
  );
}

/** Removes what a process that was killed has begun there. */
async function removeStale(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, where, pid, start] = /^\.overlay-(\S+-\d+)-(\d+)-(\d+)-[0-9a-f]{16}\.tmp$/.exec(name) ?? [];
    if (pid === undefined) continue;
    const found = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (found?.uid !== process.geteuid?.()) continue;
    // What another host or PID namespace calls so is not to be seen here.
    const lives =
      where === sphere()
        ? valueOr(() => startTime(Number(pid)), undefined) === start
        : Date.now() - (found?.mtimeMs ?? 0) < MAKING;
    if (!lives) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** @returns the path of a complete image */
async function makeIn(
  directory: string,
  { root }: SandboxConfig,
  { bytes, fill }: { readonly bytes: number; readonly fill: FillImage | undefined },
): Promise<string> {
  const [mke2fs, qemuImg] = [findTool('mke2fs', 'e2fsprogs'), findTool('qemu-img', 'qemu-utils')];
  const [raw, image] = [join(directory, 'raw'), join(directory, 'image')];
  await writeFile(raw, '', { mode: 0o600, flag: 'wx' });
  await truncate(raw, bytes);
  const content = join(directory, 'content');
  const words = await contentFor(content, root, fill);
  const limit = fill && { timeout: FILLING };
  await runTool(mke2fs, ['-q', '-F', ...EXT4, '-E', EXT4_EXTENDED, ...LABEL, ...SIZES, ...words, raw], limit).catch(
    (error: unknown) => {
      throw fill === undefined ? error : tooSmall(error);
    },
  );
  await rm(content, { recursive: true, force: true });
  await runTool(qemuImg, ['convert', '-f', 'raw', '-O', 'qcow2', raw, image], limit);
  chmodSync(image, 0o600);
  sync(image);
  return image;
}

/** Words for what the disk has from the beginning: over an OCI image, the directory that says over which. */
async function contentFor(content: string, root: Root, fill: FillImage | undefined): Promise<string[]> {
  const of = root.type === 'image' ? root.stored : undefined;
  if (of === undefined && fill === undefined) return [];
  makeDirectories(of === undefined ? content : join(content, keptFor(of.id)), 0o700);
  await fill?.(content);
  return ['-d', content];
}

/** What mke2fs says when blocks or inodes do not suffice for what it is to copy. */
function tooSmall(error: unknown): unknown {
  if (!/Could not allocate|No free space|No space left|inode table full/i.test(messageOf(error))) return error;
  return configError(
    'overlay-image-too-small',
    `what the image of an overlay is to have in the beginning does not fit in it: ${messageOf(error)}`,
    'make the image larger, and look that there is room for it',
    error,
  );
}

/** Gives the image its name, and replaces nothing. Another sandbox may have made one meanwhile, which serves as well. */
function linkTo(path: string, image: string): void {
  try {
    linkSync(image, path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
  sync(dirname(path));
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function checkFound(path: string, found: Stats): void {
  if (!found.isFile()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no regular file';
    throw configError(
      'overlay-image-not-file',
      `${quote(path)}, for the overlay, is ${what}`,
      'name the image itself, or a file that is not there yet',
    );
  }
  const caller = process.geteuid?.() ?? 0;
  // libvirt makes it QEMU's where it cannot be mapped, and a host that crashed has not given it back.
  if (found.uid !== caller && !(caller === 0 && isQemuUid(found.uid))) {
    throw configError(
      'overlay-image-not-owned',
      `the image ${quote(path)}, for the overlay, belongs to user ${found.uid}: its programs would be that user's`,
      'name an image of your own, or a file that is not there yet',
    );
  }
  if ((found.mode & OTHERS_WRITE) !== 0) throw open(path, 'its mode lets others write to it');
  refuseFurtherFile(path);
}

/**
 * Refuses an image that is more than its file, whoever has written to it meanwhile.
 * @throws {SandboxError} `overlay-image-names-file`
 */
export function refuseFurtherFile(path: string): void {
  const further = furtherFile({ source: path, format: 'qcow2' });
  if (further === undefined) return;
  throw configError(
    'overlay-image-names-file',
    `the image ${quote(path)}, for the overlay, has ${further}`,
    'make it one file, with qemu-img convert -O qcow2, or name a file that is not there yet',
  );
}

/** Who else could put another file in its place. One that libvirt has given to QEMU is in a directory that is looked at. */
function writersOf(path: string, found: Stats | undefined): string | undefined {
  return othersWhoMayReplace(found === undefined || isQemuUid(found.uid) ? dirname(path) : path);
}

function open(path: string, why: string): SandboxError {
  return configError(
    'overlay-image-open',
    `the image ${quote(path)} cannot keep the overlay, because ${why}`,
    'name one in a directory that nobody else may write to, and that has the mode 0600',
  );
}

function unusable(path: string, error: unknown): unknown {
  if (error instanceof SandboxError) return error;
  return configError(
    'overlay-image-unusable',
    `the image ${quote(path)}, for the overlay, cannot be made or used: ${messageOf(error)}`,
    'name a file in a directory that is there and that you may write to',
    error,
  );
}

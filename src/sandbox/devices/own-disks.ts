/**
 * Disks of a QEMU that runs as a user of its own. Its user owns each file where QEMU finds it, beside the view of the
 * host's files, and nowhere else (init/root-view/disks.c). So libvirt has no owner to change.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskDevice } from '../../domain/disks.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';

/**
 * The header of a qcow2 image: magic, version, offset of the name of the backing file, and from version 3 on features.
 * https://www.qemu.org/docs/master/interop/qcow2.html
 */
const QCOW2 = { size: 80, magic: 0x514649fb, version: 4, backing: 8, features: 72, externalData: 4n };

/**
 * Why not every disk can be opened by a user of the sandbox's own: what is no file has no mount to copy, and an image
 * may name further files.
 * @returns a sentence without its full stop; undefined: all can, as far as the files tell
 */
export async function reasonAgainst(disks: readonly DiskDevice[]): Promise<string | undefined> {
  const reasons = await Promise.all(disks.map(reasonAgainstOne));
  return reasons.find((reason) => reason !== undefined);
}

async function reasonAgainstOne({ source, format }: DiskDevice): Promise<string | undefined> {
  try {
    if (!(await stat(source)).isFile()) return `${source} is no regular file`;
    if (format === 'raw') return undefined;
    if (format !== 'qcow2') return `${source} is of the format ${format}, whose further files are not known`;
    await using file = await open(source);
    return (await hasFurtherFiles(file)) ? `${source} has a backing file, or its data in another file` : undefined;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return messageOf(error);
  }
}

async function hasFurtherFiles(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(QCOW2.size), 0, QCOW2.size, 0);
  // QEMU refuses what is no qcow2 image.
  if (bytesRead < QCOW2.size || buffer.readUInt32BE(0) !== QCOW2.magic) return false;
  if (buffer.readBigUInt64BE(QCOW2.backing) !== 0n) return true;
  return (
    buffer.readUInt32BE(QCOW2.version) >= 3 && (buffer.readBigUInt64BE(QCOW2.features) & QCOW2.externalData) !== 0n
  );
}

/** The disks as QEMU finds them, and how to have them there. */
export interface OwnDisks {
  readonly disks: readonly DiskDevice[];
  /** The host's path of each path that QEMU finds, for messages. */
  readonly sources: ReadonlyMap<string, string>;
  /** Words for root-view. */
  readonly words: readonly string[];
}

/**
 * @param point where root-view makes them
 * @param uid QEMU's user
 * @param isLabelled libvirt labels the files for SELinux, which keeps QEMU from writing to a disk that is read-only. On a
 *   mount that cannot be written to it could not
 */
export function ownDisks(
  disks: readonly DiskDevice[],
  { point, uid, isLabelled }: { point: string; uid: number; isLabelled: boolean },
): OwnDisks {
  const paths = disks.map((_disk, index) => join(point, 'disks', `disk.${index}`));
  return {
    disks: disks.map((disk, index) => ({ ...disk, source: paths[index] ?? disk.source })),
    sources: new Map(disks.map(({ source }, index) => [paths[index] ?? source, source])),
    words: [
      ...['--owner', String(uid)],
      ...disks.flatMap(({ source, readOnly }) => [readOnly && !isLabelled ? '--disk-ro' : '--disk', source]),
    ],
  };
}

/** Whether root-view could not make the disks or the view, so the sandbox may start without disks of its own. */
export function isOwnDisksError(error: unknown): error is SandboxError {
  return error instanceof SandboxError && (error.code === 'disks-not-owned' || error.code === 'root-view-impossible');
}

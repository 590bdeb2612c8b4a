/**
 * Disks of a QEMU that runs as a user of its own. Its user owns each file where QEMU finds it, beside the view of the
 * host's files, and nowhere else (init/root-view/disks.c). So libvirt has no owner to change. An owner may make a program of a file that runs
 * with its owner's rights, so such a QEMU is confined: init/qemu-wall/main.c.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { furtherFile, namedFile } from '../../disk-image/stands-alone.js';
import type { DiskDevice } from '../../domain/disks.js';
import type { Element } from '../../domain/xml.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { hasSelinux } from '../../util/selinux.js';

/**
 * Why not every disk can be opened by a user of the sandbox's own: what is no file has no mount to copy, and an image
 * may have its data in further files. With SELinux or AppArmor libvirt may start no program of ours as QEMU, and they
 * keep machines apart by themselves.
 * @param labels those of the domain
 * @returns a sentence without its full stop; undefined: all can, as far as the files tell
 */
export function reasonAgainst(disks: readonly DiskDevice[], labels: readonly Element[]): string | undefined {
  const { '@model': model } = labels.find((label) => label['@model'] !== 'dac') ?? {};
  if (model !== undefined || hasSelinux()) return `${model ?? 'selinux'} labels each machine and its disks`;
  for (const disk of disks) {
    const { source } = disk;
    const found = valueOr(() => statSync(source), undefined);
    if (found?.isFile() !== true) return `${source} is no regular file`;
    const further = furtherFile(disk);
    if (further !== undefined) return `${source} may have ${further}`;
  }
  return undefined;
}

/**
 * Refuses images that name further files of the host. libvirt would make those the sandbox's for as long as it runs, and
 * whoever wrote the image has chosen them: that may have been a guest. For a container they are opened by root, so it
 * has no image that may have any.
 * @throws {SandboxError} `disk-names-file`
 */
export function refuseFurtherFiles(disks: readonly DiskDevice[], platform: 'machine' | 'container'): void {
  for (const disk of disks) {
    const named = platform === 'container' ? furtherFile(disk) : namedFile(disk);
    if (named === undefined) continue;
    throw new SandboxError({
      stage: 'config',
      code: 'disk-names-file',
      message: `the disk ${disk.source} has ${named}, which libvirt would give to the sandbox`,
      remedy: 'make it one file, with qemu-img convert -O qcow2, or start the sandbox as an ordinary user',
    });
  }
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
 */
export function ownDisks(disks: readonly DiskDevice[], point: string, uid: number): OwnDisks {
  const paths = disks.map((_disk, index) => join(point, 'disks', `disk.${index}`));
  return {
    disks: disks.map((disk, index) => ({ ...disk, source: paths[index] ?? disk.source })),
    sources: new Map(disks.map(({ source }, index) => [paths[index] ?? source, source])),
    words: [
      ...['--owner', String(uid)],
      ...disks.flatMap(({ source, readOnly }) => [readOnly ? '--disk-ro' : '--disk', source]),
    ],
  };
}

/** Whether root-view could not make the disks or the view, so the sandbox may start without disks of its own. */
export function isOwnDisksError(error: unknown): error is SandboxError {
  return error instanceof SandboxError && (error.code === 'disks-not-owned' || error.code === 'root-view-impossible');
}

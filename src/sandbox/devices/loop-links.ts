/** Short paths for the images of a container: src/libvirt/loop-path.ts. Every file system of the store has a longer one. */
import { symlinkSync } from 'node:fs';
import type { DiskDevice } from '../../domain/disks.js';
import { fitsLoop } from '../../libvirt/loop-path.js';
import { makeDirectories } from '../../util/directories.js';
import { closedDirectory, loopLink } from '../state/alias.js';
import type { StateDirectory } from '../state/state-directory.js';

/** The disks, with links in the state directory in place of paths that are too long. */
export function withLoopLinks(
  disks: readonly DiskDevice[],
  { path, sockets }: Pick<StateDirectory, 'path' | 'sockets'>,
): DiskDevice[] {
  return disks.map((disk, index) => {
    if (disk.isBlock || disk.format !== 'raw' || fitsLoop(disk.source)) return disk;
    makeDirectories(closedDirectory(path), 0o700);
    symlinkSync(disk.source, loopLink(path, index));
    return { ...disk, source: loopLink(sockets, index) };
  });
}

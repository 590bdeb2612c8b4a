/** What a sandbox has not seen of its root. */
import { realpathSync } from 'node:fs';
import { bytesOf } from '../../util/raw-text.js';
import { type MountPoint, mountPointsBelow } from '../devices/host-mounts.js';
import type { RecordedOverlay } from './recorded.js';
import type { RootBelow } from './root-below.js';

/**
 * @param root the directory on the host
 * @throws a system error if it is gone
 */
export function rootBelow(root: string, seen: Partial<Pick<RecordedOverlay, 'hidden' | 'reader'>> = {}): RootBelow {
  const mounts = mountPointsBelow(realpathSync(root)).filter(isForeign);
  return {
    path: root,
    hidden: keys(seen.hidden ?? []),
    foreign: keys(mounts.map(({ path }) => `/${path}`)),
    reader: seen.reader,
  };
}

/** The kernel's, what is mounted when somebody looks, and what a process of another user answers for. */
function isForeign({ isKernels, isAutomount, fuseUser = 0 }: MountPoint): boolean {
  return isKernels || isAutomount || (fuseUser !== 0 && fuseUser !== process.geteuid?.());
}

/** A byte a letter, as names are on the way. */
function keys(paths: readonly string[]): Set<string> {
  return new Set(paths.map((path) => bytesOf(path).toString('latin1')));
}

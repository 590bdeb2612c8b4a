/** What others have to know of the overlay of a running sandbox, to compare it with its root. */
import type { GuestConfig } from '../../../init/common/config.js';
import type { IdMap } from '../../protocol/operations.js';

export interface RecordedOverlay {
  /** Whether the sandbox sees the owners that files of the root have on the host. */
  readonly hasOwners: boolean;
  /** What owners of the layer are in the root; undefined: the same. */
  readonly ids?: IdMap | undefined;
}

/** Undefined: there is none, or a directory of the host keeps it. */
export function recordedOverlay({
  overlay,
  rootOverlay,
  root,
  idMap,
  identity,
}: GuestConfig): RecordedOverlay | undefined {
  if (rootOverlay === undefined && (overlay === undefined || overlay.type === 'virtiofs')) return undefined;
  // The virtiofsd of an ordinary user knows no owners but this one and root.
  const hasOwners = root.type !== 'virtiofs' || process.geteuid?.() === 0;
  // Any other user inside owns the same files as on the host.
  const isShifted = rootOverlay !== undefined && idMap !== undefined && identity.uid === 0;
  return { hasOwners, ...(isShifted ? { ids: idMap } : {}) };
}

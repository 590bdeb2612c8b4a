/** What others have to know of the overlay of a running sandbox, to compare it with its root. */
import type { GuestConfig } from '../../../init/common/config.js';
import { overlayReader } from '../../../init/common/root-overlay.js';
import type { IdMap } from '../../protocol/operations.js';

/** With whose rights a container looks through its overlay. */
export interface Reader {
  /** Undefined: to whom nothing belongs. */
  readonly uid?: number | undefined;
  readonly gids: readonly number[];
}

export interface RecordedOverlay {
  /** Whether the sandbox sees the owners that files of the root have on the host. */
  readonly hasOwners: boolean;
  /** Whether its kernel follows redirects of the layer: init/common/overlay.ts */
  readonly hasRedirects: boolean;
  /** What the sandbox sees empty of the root: absolute paths inside. */
  readonly hidden: readonly string[];
  /** Undefined: it reads the root as who has started it. */
  readonly reader?: Reader | undefined;
  /** What owners of the layer are in the root; undefined: the same. */
  readonly ids?: IdMap | undefined;
}

/**
 * Undefined: there is none, or a directory of the host keeps it.
 * @param unseen what the sandbox sees empty of its root
 */
export function recordedOverlay(
  { overlay, rootOverlay, root, idMap, identity, ociRoot }: GuestConfig,
  unseen: () => readonly string[],
): RecordedOverlay | undefined {
  if (rootOverlay === undefined && (overlay === undefined || overlay.type === 'virtiofs')) return undefined;
  // The virtiofsd of an ordinary user knows no owners but this one and root.
  const hasOwners = root.type !== 'virtiofs' || process.geteuid?.() === 0;
  const hasRedirects = rootOverlay !== undefined || overlay?.type === 'ram';
  const ofContainer = rootOverlay === undefined ? {} : inContainer({ idMap, identity, ociRoot });
  return { hasOwners, hasRedirects, hidden: unseen(), ...ofContainer };
}

function inContainer(
  guest: Pick<GuestConfig, 'idMap' | 'identity' | 'ociRoot'>,
): Pick<RecordedOverlay, 'ids' | 'reader'> {
  // The layer has all that is in the image, and all of its users are shifted.
  if (guest.ociRoot) return guest.idMap === undefined ? {} : { ids: guest.idMap };
  const reader = overlayReader(guest);
  if (reader === undefined) return {};
  // Not even what is the host's nobody's belongs to root inside, whose owners are shifted.
  if (guest.identity.uid === 0) return { reader: { gids: [] }, ids: guest.idMap };
  // Any other user inside owns the same files as on the host.
  return { reader: { uid: reader.uid, gids: [reader.gid, ...reader.groups] } };
}

/** The overlay over the root. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestOverlay, GuestRootOverlay } from '../../../init/common/config.js';
import { STAGE } from '../../../init/common/container.js';
import type { SandboxConfig } from '../../config/types.js';
import { CONTAINER_NATIVE } from '../../domain/container.js';
import type { DiskDevice } from '../../domain/disks.js';
import type { Share } from '../../domain/shares.js';
import { valueOr } from '../../util/errors.js';
import { stateBase } from '../state/state-directory.js';
import { layersOf, type Topmost } from './overlay-directory.js';
import type { OverlayKind } from './overlay-record.js';

export type Platform = 'machine' | 'container';

/** The tag of the share with the layers of an overlay that is kept in a directory. */
export const OVERLAY_TAG = 'sandbox:overlay';

/** Name of the link by which share-server knows that it serves layers: init/share-server/layers.h */
const LINK = 'overlay-server';

/** The bits of a mode that chmod(2) sets. */
const PERMISSIONS = 0o7777;

/** The serial number of the disk that keeps an overlay. */
export const OVERLAY_SERIAL = 'overlay';

export function topmostOf({ root }: Pick<SandboxConfig, 'root'>): Topmost {
  // checkHost() says so if it is missing; an image can be baked for it all the same.
  const found = root.type === 'image' ? root.stored : valueOr(() => statSync(root.path), undefined);
  const { mode, uid, gid } = found ?? { mode: 0o755, uid: 0, gid: 0 };
  return { mode: mode & PERMISSIONS, uid, gid };
}

/** The disk with the layers, if an image keeps them. */
export function overlayDisk({ overlay }: SandboxConfig): DiskDevice[] {
  if (overlay?.type !== 'image') return [];
  return [{ serial: OVERLAY_SERIAL, source: overlay.path, isBlock: false, format: 'qcow2', readOnly: false }];
}

/** The overlay of a machine; undefined: the root is read-only. */
export function overlayOf(config: SandboxConfig): GuestOverlay | undefined {
  if (config.overlay === undefined) return undefined;
  if (config.overlay.type === 'directory') return { type: 'virtiofs', tag: OVERLAY_TAG };
  if (config.overlay.type === 'image')
    return { type: 'image', serial: OVERLAY_SERIAL, ...topmostOf(config), ...ofImage(config) };
  return { type: 'ram', ...topmostOf(config) };
}

function ofImage({ root }: SandboxConfig): { readonly of?: string } {
  return root.type === 'image' && root.stored !== undefined ? { of: root.stored.id } : {};
}

/** The share with the layers, if a directory keeps them. libvirt binds it into a container. */
export function overlayShare({ overlay }: SandboxConfig, name: string, platform: Platform = 'machine'): Share[] {
  if (overlay?.type !== 'directory') return [];
  const share = { tag: OVERLAY_TAG, directory: layersOf(overlay.path), readOnly: false };
  if (platform === 'container') return [{ ...share, transport: '9p' }];
  return [{ ...share, transport: 'virtiofs', program: overlayServer(join(stateBase(), name)) }];
}

/** What sandboxes the overlay of this one is for. */
export function overlayKindOf({ privileged }: Pick<SandboxConfig, 'privileged'>, platform: Platform): OverlayKind {
  if (platform === 'machine') return 'machine';
  // Without -p its programs must not become root of the host, and with -p it may have copies of that one's files.
  return privileged === true ? 'privileged-container' : 'container';
}

/** The program that libvirt starts for the layers: a link to share-server in the sandbox's state directory. */
export function overlayServer(stateDirectory: string): string {
  return join(stateDirectory, LINK);
}

/** That of a container is as large as that of a machine: a tmpfs there has half of the memory. */
export function rootOverlayOf({ memory, overlay }: SandboxConfig): GuestRootOverlay {
  return {
    program: join(CONTAINER_NATIVE, 'root-overlay'),
    bytes: Math.floor(memory / 2),
    ...(overlay?.type === 'directory' ? { kept: `${STAGE}/${OVERLAY_TAG}` } : {}),
  };
}

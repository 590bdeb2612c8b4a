/** Refuses an overlay that a sandbox cannot have here, before anything is started. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { covers } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { valueOr } from '../../util/errors.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';
import { checkOverlayDirectory, layersOf } from '../devices/overlay-directory.js';
import { findVirtiofsd, shareProgram } from '../devices/share-server.js';

/**
 * @throws {SandboxError} `overlay-of-container`, `overlay-directory-unavailable`, `overlay-in-mount`, and what
 *   {@link checkOverlayDirectory} throws
 */
export function checkOverlay(config: SandboxConfig, kind: ConnectionKind): void {
  const { overlay } = config;
  if (overlay === undefined || overlay.type === 'memory') return;
  // Each mount below the root has an upper layer of its own there.
  if (kind === 'lxc') {
    throw configError(
      'overlay-of-container',
      `the overlay of a container cannot be kept in the ${overlay.type} ${quote(overlay.path)}`,
      `use ${IN_MEMORY()}, or run a machine: ${shortOption('connect', 'qemu:///embed')}`,
    );
  }
  if (overlay.type === 'image') {
    refuseInMounts('image', imageOf(overlay.path), config);
    return;
  }
  const obstacle = directoryObstacle(kind);
  if (obstacle !== undefined) {
    const [reason, remedy] = obstacle;
    throw configError(
      'overlay-directory-unavailable',
      `an overlay cannot be kept in the directory ${quote(overlay.path)}: ${reason}`,
      remedy,
    );
  }
  refuseInMounts('directory', dirname(layersOf(overlay.path)), config);
  checkOverlayDirectory(overlay.path, config);
}

/** What a sandbox writes there by another way would change what the next one, or root, takes the overlay for. */
function refuseInMounts(what: 'directory' | 'image', path: string, { mounts }: SandboxConfig): void {
  for (const mount of mounts) {
    if (mount.type !== 'host-bind' || mount.readOnly || mount.source === undefined) continue;
    const source = valueOr(() => realpathSync(mount.source ?? ''), mount.source);
    if (!covers(source, path) && !covers(path, source)) continue;
    throw configError(
      'overlay-in-mount',
      `the sandbox can write to the ${what} ${quote(path)} of its overlay by the mount on ${mount.target}`,
      `name another ${what}, or make the mount read-only`,
    );
  }
}

/** The image by a path without links above it. It need not be there yet. */
function imageOf(path: string): string {
  return join(
    valueOr(() => realpathSync(dirname(path)), dirname(path)),
    basename(path),
  );
}

const IN_MEMORY = () =>
  `${forCaller({ commandLine: '--overlay', program: 'overlay: true' })}, which is gone at the end`;

/** Why no virtiofsd can keep an overlay, and what to do; undefined: one can. */
function directoryObstacle(kind: ConnectionKind): readonly [reason: string, remedy: string] | undefined {
  if (process.geteuid?.() !== 0)
    return [
      'its files would have other owners than root only if root starts it',
      `start it as root, or use ${IN_MEMORY()}`,
    ];
  if (findVirtiofsd() === undefined) return ['there is no virtiofsd', 'install it (Debian: virtiofsd)'];
  if (shareProgram(kind) === undefined)
    return [
      "AppArmor does not let libvirtd start virt-sandbox's server of shares (docs/security.md)",
      `use ${option('connect', 'qemu:///embed')}`,
    ];
  return undefined;
}

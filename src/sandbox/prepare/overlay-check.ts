/** Refuses an overlay that a sandbox cannot have here, before anything is started. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { configError, quote } from '../../config/errors.js';
import { covers } from '../../config/path.js';
import type { SandboxConfig } from '../../config/types.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { type SandboxError, valueOr } from '../../util/errors.js';
import { forCaller, option, shortOption } from '../../util/option-names.js';
import { overlayKindOf } from '../devices/overlay.js';
import { checkOverlayDirectory, layersOf } from '../devices/overlay-directory.js';
import { findVirtiofsd, shareProgram } from '../devices/share-server.js';

/**
 * @throws {SandboxError} `overlay-image-of-container`, `overlay-directory-unavailable`, `overlay-with-userns`,
 *   `overlay-in-mount`, and what {@link checkOverlayDirectory} throws
 */
export function checkOverlay(config: SandboxConfig, kind: ConnectionKind): void {
  const { overlay, root } = config;
  if (overlay === undefined || overlay.type === 'memory') return;
  if (overlay.type === 'image') {
    if (kind === 'lxc') throw imageOfContainer(overlay.path);
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
  if (kind === 'lxc' && config.userNamespaces) throw withUserNamespaces();
  refuseInMounts('directory', dirname(layersOf(overlay.path)), config);
  checkOverlayDirectory(overlay.path, {
    root,
    kind: overlayKindOf(config, kind === 'lxc' ? 'container' : 'machine'),
  });
}

/** Code that reads file systems from disks expects none that was made to attack it. */
function imageOfContainer(path: string): SandboxError {
  return configError(
    'overlay-image-of-container',
    `the overlay of a container cannot be kept in the image ${quote(path)}: this host's own kernel would have to mount ` +
      'a file system that sandboxes have written, and a broken one can take the kernel over',
    `keep it in a directory (${forCaller({ commandLine: '--overlay=DIR', program: "overlay: '/DIR/'" })}), or run a ` +
      `machine: ${shortOption('connect', 'qemu:///embed')}; a service of containers is made so: virt-sandbox-service ` +
      'create -c lxc:///',
  );
}

/** Without what covers them, the hidden files could be given other names, which nothing covers in the next run. */
function withUserNamespaces(): SandboxError {
  return configError(
    'overlay-with-userns',
    `a container whose overlay is kept in a directory has no ${option('userNamespaces')}: a program that can mount could ` +
      'keep there what is hidden from it, for the next run',
    `leave one of them out, use ${IN_MEMORY()}, or run a machine: ${shortOption('connect', 'qemu:///embed')}`,
  );
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

/** Why nothing here can keep an overlay, and what to do; undefined: one can. */
function directoryObstacle(kind: ConnectionKind): readonly [reason: string, remedy: string] | undefined {
  if (process.geteuid?.() !== 0)
    return [
      'its files would have other owners than root only if root starts it',
      `start it as root, or use ${IN_MEMORY()}`,
    ];
  // The host's own kernel does it.
  if (kind === 'lxc') return undefined;
  if (findVirtiofsd() === undefined) return ['there is no virtiofsd', 'install it (Debian: virtiofsd)'];
  if (shareProgram(kind) === undefined)
    return [
      "AppArmor does not let libvirtd start virt-sandbox's server of shares (docs/security.md)",
      `use ${option('connect', 'qemu:///embed')}`,
    ];
  return undefined;
}

/** From the name of an image to a sandbox whose root it is. */
import { rootText } from '../../config/root.js';
import type { ImageRoot, SandboxConfig } from '../../config/types.js';
import { validateConfig } from '../../config/validate.js';
import { type PullProgress, throttleProgress } from '../../oci/progress.js';
import type { Tag } from '../../oci/store/tags.js';
import { mark } from '../../util/marks.js';
import type { LaunchOptions } from '../types.js';
import type { CommandUse } from './apply-image.js';

/** A sandbox, and a lease on the file system of its image. */
export interface RootedSandbox {
  readonly config: SandboxConfig;
  /** What the name of its image means in the store; undefined: the root is none, or was applied before. */
  readonly tag?: Tag;
  /** Gives the lease back, when nothing of the sandbox is left. Without that it lasts until this process ends. */
  readonly release: () => void;
}

/**
 * The sandbox with the file system of its image, which is pulled if it is not in the store. A sandbox with another root
 * stays as it is.
 * @param use whether the image's own command is run
 * @throws {SandboxError} those of pulling an image; `command-missing`, `user-unknown`, `systemd-missing`, and what `validateConfig` throws
 */
export async function withImageRoot(
  config: SandboxConfig,
  { signal, onProgress, onPull, onChoice }: LaunchOptions,
  use: CommandUse,
): Promise<RootedSandbox> {
  const { root } = config;
  if (root.type !== 'image' || root.stored !== undefined) return { config, release: () => {} };
  mark('root.start');
  const [{ obtainImage }, { StorePaths }, { readKept }, { applyImage }, { checkSystemdOf }] = await Promise.all([
    import('../../oci/pull/obtain.js'),
    import('../../oci/store/store-paths.js'),
    import('../../oci/store/roots.js'),
    import('./apply-image.js'),
    import('./systemd-of-image.js'),
  ]);
  const paths = new StorePaths();
  const name = rootText(root);
  let phase: PullProgress['phase'] | undefined;
  const image = await obtainImage(root.image, root.pull, {
    paths,
    manifest: root.manifest,
    platform: root.platform,
    registry: registryOf(root),
    signal,
    onProgress: throttleProgress((progress) => {
      onPull?.(progress);
      if (progress.phase !== phase) onProgress?.(`pulling ${name}: ${WORK[progress.phase]}`);
      phase = progress.phase;
    }),
  });
  onChoice?.(`root: ${name}, ${image.tag.manifest}`);
  const { id, path, top } = image.root;
  const { release } = image;
  try {
    if (config.service?.type === 'systemd') checkSystemdOf(path, name);
    const users = { passwd: readKept(paths, image.root, 'passwd'), group: readKept(paths, image.root, 'group') };
    const facts = { name, config: image.config, users, stored: { id, path, ...top } };
    const applied = validateConfig(applyImage(config, root, facts, use), use !== 'needed');
    mark('root.done');
    return { config: applied, tag: image.tag, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** A further lease on the file system of a sandbox's image. @returns gives it back */
export async function leaseRoot({ root }: SandboxConfig): Promise<() => void> {
  if (root.type !== 'image' || root.stored === undefined) return () => {};
  const [{ leaseImage }, { StorePaths }] = await Promise.all([
    import('../../image/store/lease.js'),
    import('../../oci/store/store-paths.js'),
  ]);
  return leaseImage(new StorePaths().roots, root.stored.id);
}

const WORK: Readonly<Record<PullProgress['phase'], string>> = {
  asking: 'looking for it',
  building: 'making a disk with virt-builder',
  reading: 'reading the files of that disk',
  fetching: 'fetching its layers',
  merging: 'merging its layers',
  making: 'making its file system',
  done: 'it is there',
};

function registryOf({ authFile, tlsVerify }: ImageRoot) {
  return { ...(authFile === undefined ? {} : { authFile }), tlsVerify };
}

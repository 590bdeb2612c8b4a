/** Checks the paths of a sandbox on this host. Just before a start only: a sandbox.cfg may describe another host. */
import { lstat, stat } from 'node:fs/promises';
import { isSystemError, messageOf } from '../util/errors.js';
import { configError, quote } from './errors.js';
import { isHomeMount } from './home.js';
import { normalizePath } from './path.js';
import type { SandboxConfig } from './types.js';

/** What a path must lead to. */
type Kind = 'directory' | 'file' | 'block-device' | 'image' | 'anything';

const CALLED: Readonly<Record<Kind, string>> = {
  directory: 'a directory',
  file: 'a file',
  'block-device': 'a block device',
  image: 'a file or a block device',
  anything: 'something',
};

/**
 * Checks that every host path of the sandbox exists and is of the right kind.
 * @throws SandboxError `root-not-found`, `root-not-directory`, `mount-source-not-found`, `mount-source-not-directory`,
 *   `mount-source-not-image`, `disk-source-not-found`, `disk-source-not-file`, `disk-source-not-block-device`,
 *   `include-source-not-found`
 */
export async function checkHost(config: SandboxConfig): Promise<void> {
  const { root } = config;
  if (root.type === 'directory' && !config.mounts.some(({ target }) => normalizePath(target) === '/')) {
    await check(root.path, 'directory', 'root', 'the root directory');
  }
  for (const mount of config.mounts) {
    const what = `the source of the mount on ${mount.target}`;
    if (mount.type === 'host-bind' && mount.source !== undefined && !isHomeMount(config, mount)) {
      await check(mount.source, 'directory', 'mount-source', what);
    }
    if (mount.type === 'host-image') await check(mount.source, 'image', 'mount-source', what);
    for (const { source, target } of mount.includes) {
      await check(source, 'anything', 'include-source', `the source of the include ${target}`);
    }
  }
  for (const { type, tag, source } of config.disks) {
    await check(source, type === 'file' ? 'file' : 'block-device', 'disk-source', `the source of disk ${tag}`);
  }
}

async function check(path: string, kind: Kind, code: string, what: string): Promise<void> {
  try {
    // An include is copied as it is: the target of a symbolic link may exist only inside.
    const status = await (kind === 'anything' ? lstat(path) : stat(path));
    const right =
      kind === 'anything' ||
      (kind === 'directory' && status.isDirectory()) ||
      ((kind === 'file' || kind === 'image') && status.isFile()) ||
      ((kind === 'block-device' || kind === 'image') && status.isBlockDevice());
    if (right) return;
  } catch (error) {
    const why = isSystemError(error, 'ENOENT') ? 'does not exist' : `cannot be used: ${messageOf(error)}`;
    throw configError(
      `${code}-not-found`,
      `${what}, ${quote(path)}, ${why}`,
      'name one that exists and that you can reach',
      error,
    );
  }
  throw configError(`${code}-not-${kind}`, `${what}, ${quote(path)}, is not ${CALLED[kind]}`, `name ${CALLED[kind]}`);
}

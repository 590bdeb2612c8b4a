/** A root that virt-builder makes of a template: a disk, whose files become one tar archive, which is one layer. */
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withWorkspace } from '../../image/store/workspace.js';
import { machineName, type Platform } from '../../oci-names/platform.js';
import { isTemplateName, type Template, templateText } from '../../oci-names/template.js';
import { openTarRoot } from '../local/tar-root.js';
import type { OnPullProgress } from '../progress.js';
import { refuseWithoutRoom } from '../room.js';
import type { ImageSource } from '../source.js';
import { type StorePaths, storeError } from '../store/store-paths.js';
import { sweepPulls } from '../store/workspaces.js';
import { guestfsProgram, runGuestfs } from './guestfs-program.js';

/** Bytes for a small template and the machine that libguestfs makes of the host's files, which takes half of it. */
const LEAST_ROOM = 512 << 20;

export interface BuildOptions {
  readonly platform: Platform;
  /** Default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  readonly onProgress?: OnPullProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the root of a template, and runs `use` with it as an image. All files are in a workspace of the store, which is
 * removed then.
 * @throws {SandboxError} `virt-builder-missing`, `virt-builder-failed`, `directory-not-roots`, `disk-full`,
 *   `store-not-writable`, `aborted`, and those of `use`
 */
export async function withBuiltRoot<T>(
  paths: StorePaths,
  image: Template,
  options: BuildOptions,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  try {
    await sweepPulls(paths);
    return await withWorkspace(paths.roots, async (workspace) => {
      // The template may be for this user only.
      await chmod(workspace, 0o700);
      const source = await build(workspace, image, { ...options, store: paths.directory });
      try {
        return await use(source);
      } finally {
        await source.close();
      }
    });
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

async function build(
  workspace: string,
  image: Template,
  options: BuildOptions & { readonly store: string },
): Promise<ImageSource> {
  const { platform, environment = process.env, onProgress, signal, store } = options;
  // Those who write a config by a program can write anything.
  if (!isTemplateName(image.template)) throw new Error(`${image.template} is no name of a template`);
  // Before the disk is made, which takes long.
  for (const program of ['virt-builder', 'virt-tar-out'] as const) guestfsProgram(program);
  // libguestfs does not report a full disk while it makes its machine.
  if (environment['LIBGUESTFS_CACHEDIR'] === undefined) await refuseWithoutRoom(store, LEAST_ROOM);
  const what = templateText(image);
  const run = { what, isImage: true, workspace, store, environment, signal };
  const [disk, tar] = [join(workspace, 'disk.qcow2'), join(workspace, 'root.tar')];
  onProgress?.({ phase: 'building' });
  await runGuestfs({
    ...run,
    program: 'virt-builder',
    args: [
      ...[image.template, '--arch', machineName(platform.architecture), '--output', disk, '--format', 'qcow2'],
      // Nobody logs in, and a random one would be printed. Nothing is run inside, so nothing has to reach a network.
      ...['--root-password', 'disabled', '--no-network', '--no-sync'],
    ],
  });
  onProgress?.({ phase: 'reading' });
  await runGuestfs({
    ...run,
    program: 'virt-tar-out',
    // The last two are arguments of guestfish's tar-out: without them capabilities of programs get lost.
    args: ['--format=qcow2', '-a', disk, '/', tar, 'numericowner:true', 'xattrs:true'],
  });
  await Promise.all([rm(disk), rm(join(workspace, 'tmp'), { recursive: true, force: true })]);
  return openTarRoot(tar, platform, signal, what);
}

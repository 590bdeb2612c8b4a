/** From a sandbox to its container. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { STAGE } from '../../../init/common/container.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import { type Bind, CONTAINER_NATIVE, containerXml } from '../../domain/container.js';
import { containerDiskElements } from '../../domain/disks.js';
import { containerInterface } from '../../domain/interfaces.js';
import { uuidForLabels } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import { containerCputune, cpusetOf } from '../../domain/tuning.js';
import { makeDirectories } from '../../util/directories.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { stateBase } from '../state/state.js';
import type { LaunchOptions, PreparedContainer } from '../types.js';
import { disksOf } from './disks.js';
import { mountsBelow } from './host-mounts.js';
import { interfacesOf } from './interfaces.js';
import { mountTag, ROOT_TAG, rootMount, type ShareServer, sharesOf } from './shares.js';
import { machineShell, SHELL_CONSOLE } from './shell-paths.js';

/** Its consoles: the first is for what the init has to say, the second is the channel. */
export const LOG_CONSOLE = 0;
export const CHANNEL_CONSOLE = 1;

/** The domain as libvirt is given it. */
export function containerDomainXml(
  config: SandboxConfig,
  { name, images, server, securityLabels }: PreparedContainer,
  options: LaunchOptions,
): string {
  const state = join(stateBase(), name);
  return containerXml({
    name,
    uuid: config.uuid ?? uuidForLabels(securityLabels),
    memory: config.memory,
    root: containerRoot(),
    binds: [
      // Not a copy: the state directory may be where nothing can be executed, as /run often is.
      { directory: dirname(hostProgram('init')), target: CONTAINER_NATIVE, readOnly: true },
      ...sharesOf(config, server, state).flatMap((share) => bindsOf(share, rootTag(config, server))),
    ],
    disks: containerDiskElements(disksOf(config, images)),
    interfaces: interfacesOf(config, name).map(containerInterface),
    securityLabels,
    cputune: containerCputune(config.tuning),
    cpuset: cpusetOf(config.tuning),
    init: [
      join(CONTAINER_NATIVE, 'init'),
      `--console=/dev/tty${CHANNEL_CONSOLE + 1}`,
      ...(options.debugInit ? ['--debug'] : []),
    ],
    consoles: machineShell(config, options, 'lxc', state) ? SHELL_CONSOLE + 1 : CHANNEL_CONSOLE + 1,
  });
}

/** Which of the shares is the root; undefined where the init itself mounts one that is no directory of the host. */
function rootTag(config: SandboxConfig, server: ShareServer): string | undefined {
  const { mounts } = config;
  const index = rootMount(config);
  if (index === undefined) return ROOT_TAG;
  return mounts[index]?.type === 'host-bind' ? mountTag(mounts, index, server) : undefined;
}

/**
 * What a container is rooted in until its init has moved on: nothing but mount points, the same for all containers and never removed. libvirt
 * makes those that are missing, also after a launcher that was killed has been cleaned up after, so they are not in a sandbox's own directory.
 */
function containerRoot(): string {
  return join(stateBase(), '.container');
}

/**
 * Makes it where it is not there.
 * @throws {SandboxError} `state-not-writable`
 */
export function makeContainerRoot(): void {
  try {
    for (const name of ['.oldroot', 'dev', 'proc', 'sys', NEW_ROOT, CONTAINER_NATIVE]) {
      makeDirectories(join(containerRoot(), name), 0o755);
    }
  } catch (error) {
    throw new SandboxError({
      stage: 'domain',
      code: 'state-not-writable',
      message: `the mount points for containers cannot be made: ${messageOf(error)}`,
      remedy: `make ${stateBase()} a directory that you can write to`,
      cause: error,
    });
  }
}

/** Directories of a root that the common init mounts something on, so that what the host has there is not seen. */
const HIDDEN = ['dev', 'proc', 'sys', 'tmp', 'run'];

/** A bind of libvirt's shows nothing of what is mounted below the directory, so each of those is a bind of its own. */
function bindsOf({ tag, directory, readOnly }: Share, root: string | undefined): Bind[] {
  const target = tag === root ? NEW_ROOT : `${STAGE}/${tag}`;
  const hidden = tag === root ? HIDDEN : [];
  // A fresh directory is not there before the start, and has no mounts.
  const below = existsSync(directory) ? mountsBelow(realpathSync(directory)) : [];
  const shown = below.filter((path) => !hidden.includes(path.split('/')[0] ?? ''));
  return ['', ...shown].map((path) => ({ directory: join(directory, path), target: join(target, path), readOnly }));
}

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
import type { Element } from '../../domain/xml.js';
import { makeDirectories } from '../../util/directories.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { stateBase } from '../state/state.js';
import type { LaunchOptions } from '../types.js';
import type { Devices } from './devices.js';
import { mountsBelow } from './host-mounts.js';
import { SHELL_CONSOLE } from './shell.js';

/** Its consoles: the first is for what the init has to say, the second is the channel. */
export const LOG_CONSOLE = 0;
export const CHANNEL_CONSOLE = 1;

/** What a container is made of, beside the config. It runs the host's kernel. */
export interface ContainerParts {
  readonly platform: 'container';
  readonly name: string;
  readonly devices: Devices;
  /** `seclabel` elements. */
  readonly securityLabels: readonly Element[];
}

/** The domain as libvirt is given it. */
export function containerDomainXml(
  config: SandboxConfig,
  { name, devices, securityLabels }: ContainerParts,
  options: Pick<LaunchOptions, 'debugInit'>,
): string {
  const { root } = devices.guest;
  return containerXml({
    name,
    uuid: config.uuid ?? uuidForLabels(securityLabels),
    memory: config.memory,
    root: containerRoot(),
    binds: [
      // Not a copy: the state directory may be where nothing can be executed, as /run often is.
      { directory: dirname(hostProgram('init')), target: CONTAINER_NATIVE, readOnly: true },
      // Where the root is no directory of the host, the init itself mounts it.
      ...devices.shares.flatMap((share) => bindsOf(share, root.type === 'staged' ? root.tag : undefined)),
    ],
    disks: containerDiskElements(devices.disks),
    interfaces: devices.interfaces.map(containerInterface),
    securityLabels,
    cputune: containerCputune(config.tuning),
    cpuset: cpusetOf(config.tuning),
    init: [
      join(CONTAINER_NATIVE, 'init'),
      `--console=/dev/tty${CHANNEL_CONSOLE + 1}`,
      ...(options.debugInit ? ['--debug'] : []),
    ],
    consoles: devices.shell ? SHELL_CONSOLE + 1 : CHANNEL_CONSOLE + 1,
  });
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

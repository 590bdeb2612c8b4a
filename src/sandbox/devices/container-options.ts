/** Turns a sandbox into the XML of a container. */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { STAGE } from '../../../init/common/container.js';
import { NEW_ROOT } from '../../../init/common/step.js';
import type { SandboxConfig } from '../../config/types.js';
import { type Bind, CONTAINER_NATIVE, containerXml } from '../../domain/container.js';
import { containerDiskElements } from '../../domain/disks.js';
import { containerInterface } from '../../domain/interfaces.js';
import { uuidForLabels } from '../../domain/security.js';
import type { Share } from '../../domain/shares.js';
import { containerTuning, cpusetOf } from '../../domain/tuning.js';
import type { Element } from '../../domain/xml.js';
import { makeDirectories } from '../../util/directories.js';
import { messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { hostProgram } from '../../util/programs.js';
import { stateBase } from '../state/state-directory.js';
import type { LaunchOptions } from '../types.js';
import type { Devices } from './devices.js';
import { mountsBelow } from './host-mounts.js';
import { SHELL_CONSOLE } from './shell.js';

/** Numbers of the container's consoles: the init's log, then the channel. */
export const LOG_CONSOLE = 0;
export const CHANNEL_CONSOLE = 1;

/** What the XML of a container is made of, besides the config. */
export interface ContainerParts {
  readonly platform: 'container';
  readonly name: string;
  readonly devices: Devices;
  /** `seclabel` elements. */
  readonly securityLabels: readonly Element[];
}

/** The domain's XML. */
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
      // The package's own directory, not a copy in the state directory: /run is often mounted noexec.
      { directory: dirname(hostProgram('init')), target: CONTAINER_NATIVE, readOnly: true },
      // The common init mounts a root that is not a directory of the host.
      ...devices.shares.flatMap((share) => bindsOf(share, root.type === 'staged' ? root.tag : undefined)),
    ],
    disks: containerDiskElements(devices.disks),
    interfaces: devices.interfaces.map(containerInterface),
    securityLabels,
    tuned: containerTuning(config.tuning),
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
 * The root of a container until its init switches to another. It has only mount points, and all containers share it. It
 * is never removed: libvirt re-creates missing mount points, even after a killed launcher has been cleaned up, so they
 * would be left over in a state directory.
 */
function containerRoot(): string {
  return join(stateBase(), '.container');
}

/**
 * Creates the shared root if it is missing.
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

/** Directories of the root that the common init mounts over. The host's mounts there are not seen, so not bound. */
const HIDDEN = ['dev', 'proc', 'sys', 'tmp', 'run'];

/** libvirt's binds are not recursive, so each mount below the directory is a bind of its own. */
function bindsOf({ tag, directory, readOnly }: Share, root: string | undefined): Bind[] {
  const target = tag === root ? NEW_ROOT : `${STAGE}/${tag}`;
  const hidden = tag === root ? HIDDEN : [];
  // A fresh directory does not exist yet, and has no mounts below it.
  const source = valueOr(() => realpathSync(directory), undefined);
  const below = source === undefined ? [] : mountsBelow(source);
  const shown = below.filter((path) => !hidden.includes(path.split('/')[0] ?? ''));
  return ['', ...shown].map((path) => ({ directory: join(directory, path), target: join(target, path), readOnly }));
}

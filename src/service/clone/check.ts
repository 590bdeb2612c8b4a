/** Whether this host can run a service that is made of another one. */
import { kindOf } from '../../libvirt/connect.js';
import type { ConnectionKind } from '../../libvirt/connection.js';
import { containedConfig } from '../../sandbox/prepare/contained.js';
import { checkOverlay } from '../../sandbox/prepare/overlay-check.js';
import { refuseUnsupported } from '../../sandbox/prepare/supported.js';
import type { ServiceRoots } from '../paths.js';
import { makeStateParent } from '../store/state.js';
import type { ServiceSettings } from '../types.js';
import type { WantedClone } from './describe.js';

/** @throws {SandboxError} `not-supported`, and what `makeStateParent` and `checkOverlay` throw */
export function checkWanted(roots: ServiceRoots, { config, settings, state }: WantedClone): void {
  refuseUnsupported(config);
  makeStateParent(roots, state.path);
  const kind = connectionOf(settings);
  checkOverlay(containedConfig(config, kind === 'lxc' ? 'container' : 'machine'), kind);
}

export function connectionOf({ connect }: Pick<ServiceSettings, 'connect'>): ConnectionKind {
  return connect === undefined ? 'embedded' : kindOf(connect);
}

/** What {@link prepare} returns. */

import type { BootImage } from '../../image/resolve.js';
import type { Connection } from '../../libvirt/connection.js';
import type { ContainerParts } from '../devices/container-options.js';
import type { MachineParts } from '../devices/machine-options.js';
import type { SnapshotChoice } from '../snapshot/find.js';

export type Prepared = PreparedMachine | PreparedContainer;

export interface PreparedMachine extends MachineParts {
  readonly connection: Connection;
  readonly image: BootImage;
  /** Why the machine is emulated, for a user who did not ask for that: `fallbackSentence`. */
  readonly fallback: string | undefined;
  /** The snapshot to restore, which knows the next one for when it fails to load; undefined: the machine boots. */
  readonly snapshot: SnapshotChoice | undefined;
  /** Prepares it with what else can serve its root, for when the first cannot be started; undefined: nothing else may. */
  readonly otherRoot?: () => Promise<PreparedMachine>;
  /** It is to wait in a pool, so its memory counts for more than some milliseconds of its start. Default: false. */
  readonly waits?: boolean;
}

export interface PreparedContainer extends ContainerParts {
  readonly connection: Connection;
}

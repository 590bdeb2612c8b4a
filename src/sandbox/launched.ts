/** What a launch hands on. */
import type { GuestConfig } from '../../init/common/config.js';
import type { Connection, Domain } from '../libvirt/connection.js';
import type { Channel } from '../protocol/channel.js';
import type { GivenDisks } from './devices/given-disks.js';
import type { Console } from './start/console.js';
import type { ShareWatch } from './start/share-watch.js';
import type { UserNetworkProcesses } from './start/user-network.js';

/** A running application. */
export interface Launched {
  readonly name: string;
  readonly channel: Channel;
  /** What the guest was told of the application. */
  readonly guest: GuestConfig;
  readonly domain: Domain;
  readonly connection: Connection;
  readonly console: Console;
  /** What serves the user networking; undefined: there is none, or QEMU serves it. */
  readonly network: UserNetworkProcesses | undefined;
  /** Undefined: libvirt gives none away. */
  readonly givenDisks: GivenDisks | undefined;
  /** Watches what serves its shares. */
  readonly shares: ShareWatch;
}

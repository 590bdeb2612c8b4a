/** What a launch hands on. */
import type { GuestConfig } from '../../init/common/config.js';
import type { SandboxConfig } from '../config/types.js';
import type { Connection, Domain } from '../libvirt/connection.js';
import type { Monitor } from '../libvirt/monitor.js';
import type { Channel } from '../protocol/channel.js';
import type { GivenDisks } from './devices/given-disks.js';
import type { Prepared } from './prepare/prepared.js';
import type { HeldScreen } from './screen/types.js';
import type { MachineSound } from './sound/machine-sound.js';
import type { Console } from './start/console.js';
import type { ShareWatch } from './start/share-watch.js';
import type { UserNetworkProcesses } from './start/user-network.js';
import type { StateDirectory } from './state/state-directory.js';

/** A running application. */
export interface Launched {
  readonly name: string;
  readonly config: SandboxConfig;
  readonly platform: 'machine' | 'container';
  /** The machine's; undefined: a container. */
  readonly acceleration: 'kvm' | 'tcg' | undefined;
  readonly boot: 'warm' | 'cold' | undefined;
  /** ID of its boot image. */
  readonly image: string | undefined;
  readonly kernelRelease: string | undefined;
  readonly state: StateDirectory;
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
  /** QEMU's monitor; undefined: a container has none. */
  readonly monitor: Monitor | undefined;
  /** Undefined: it has none. */
  readonly screen: HeldScreen | undefined;
  /** Undefined: it has none, or is silent. */
  readonly sound: MachineSound | undefined;
  /** Process ID of its QEMU; undefined: a container has none, or libvirt's file of it cannot be read. */
  qemuPid(): Promise<number | undefined>;
}

/** What is known of a sandbox before it starts. */
export function factsOf(
  config: SandboxConfig,
  prepared: Prepared,
): Pick<Launched, 'name' | 'config' | 'platform' | 'acceleration' | 'boot' | 'image' | 'kernelRelease'> {
  const { name, platform } = prepared;
  if (prepared.platform === 'container')
    return {
      name,
      config,
      platform,
      acceleration: undefined,
      boot: undefined,
      image: undefined,
      kernelRelease: undefined,
    };
  const { acceleration, snapshot, image } = prepared;
  const booted = snapshot?.image ?? image;
  const boot = snapshot ? 'warm' : 'cold';
  return { name, config, platform, acceleration, boot, image: booted.id, kernelRelease: booted.kernelVersion };
}

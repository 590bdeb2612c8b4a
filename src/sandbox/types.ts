/** What a start is told beside the config, and what it has before anything is started. */
import type { GuestTrace } from '../../init/common/config.js';
import type { OperationReport } from '../../init/common/drive.js';
import type { Element } from '../domain/xml.js';
import type { BootImage } from '../image/resolve.js';
import type { Snapshot } from '../image/snapshot/snapshot.js';
import type { Connection } from '../libvirt/connection.js';
import type { Profile } from '../profile/types.js';
import type { GuestReady } from '../protocol/ready.js';
import type { Images } from './devices/disks.js';
import type { ShareServer } from './devices/shares.js';
import type { Terminal } from './setup/guest-config.js';
import type { WarmChoice } from './snapshot/find.js';

/** Told what happens on the way. All of them are optional. */
export interface Observers {
  /** What is being done, for a person who waits. */
  readonly onProgress?: (message: string) => void;
  /** A choice that was made, and why. */
  readonly onChoice?: (sentence: string) => void;
  /** Something that the person should know although the sandbox goes on. */
  readonly onWarning?: (sentence: string) => void;
  /** Every byte of the guest's console. */
  readonly onConsole?: (chunk: Buffer) => void;
  readonly onReady?: (ready: GuestReady) => void;
  /** Every operation of the common init. */
  readonly onOperation?: (report: OperationReport) => void;
}

/** The plan stands still before a step. */
export interface Stop {
  readonly step: string;
  readonly name: string;
  /** The state directory of the sandbox. */
  readonly stateDirectory: string;
  /** Aborts when the sandbox ends meanwhile. */
  readonly ended: AbortSignal;
}

export interface Breakpoint {
  /** Name of the step; `spawn` is the application itself. */
  readonly step: string;
  /**
   * Called when the plan has come there; the start goes on when it returns. There is no limit of time.
   * @returns whether to go on; false gives the start up
   */
  readonly onStop: (stop: Stop) => Promise<boolean>;
}

export interface LaunchOptions extends Observers {
  /** libvirt URI; undefined: LIBVIRT_DEFAULT_URI, else `uri_default` of libvirt.conf, else whatever is there. */
  readonly connect?: string | undefined;
  /** How the machine boots: a name or a path (profiles/); undefined: VIRT_SANDBOX_PROFILE, else `default`. */
  readonly profile?: string | undefined;
  /** Boot image by its name, its id, or its directory (with a slash); undefined: one is found, else built. */
  readonly image?: string | undefined;
  /** Show kernel messages and the init's steps on the console. */
  readonly debugInit?: boolean;
  /** Run the application under the root's strace. Its trace is on stderr, which is not that of the application where that has a terminal. */
  readonly trace?: GuestTrace | undefined;
  /** Where to stop, and what to do then. */
  readonly breakpoint?: Breakpoint | undefined;
  /** The terminal of the application, where the config asks for one. */
  readonly terminal?: Terminal | undefined;
  /** The descriptor of the local terminal, whose settings must survive this process. */
  readonly terminalFd?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** All that a start needs and that can be had without starting anything. */
export type Prepared = PreparedMachine | PreparedContainer;

export interface PreparedMachine {
  readonly platform: 'machine';
  readonly name: string;
  readonly image: BootImage;
  readonly connection: Connection;
  readonly acceleration: 'kvm' | 'tcg';
  /** `seclabel` elements. */
  readonly securityLabels: readonly Element[];
  readonly profile: Profile;
  /** What the images hold that are to be mounted. */
  readonly images: Images;
  readonly server: ShareServer;
  /** The saved machine that it goes on from; undefined: it boots. */
  readonly warm: Snapshot | undefined;
  /** Another one, and its boot image, for where that one cannot be gone on from. */
  readonly nextWarm?: WarmChoice['next'] | undefined;
}

/** It runs the host's kernel, so there is nothing to find and nothing to build. */
export interface PreparedContainer {
  readonly platform: 'container';
  readonly name: string;
  readonly connection: Connection;
  /** As a machine has them. */
  readonly images: Images;
  readonly server: ShareServer;
  /** `seclabel` elements. */
  readonly securityLabels: readonly Element[];
}

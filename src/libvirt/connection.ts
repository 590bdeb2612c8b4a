/** The launcher's interface to libvirt, for daemons and the embedded driver alike. */
import type { SandboxError } from '../util/errors.js';

/** How a domain is ended: {@link Domain.destroy}. */
export interface DestroyOptions {
  readonly force: boolean;
  /** Default: without `force`. */
  readonly keepLogs?: boolean;
}

/** Why a domain stopped. */
export type StopReason = 'shutdown' | 'destroyed' | 'crashed' | 'failed' | 'other';

/** The supported hypervisor connections. */
export type ConnectionKind = 'system' | 'session' | 'embedded' | 'lxc';

/** The kinds that talk to a daemon. */
export type DaemonKind = Exclude<ConnectionKind, 'embedded'>;

/** Their URIs. */
export const URI: Readonly<Record<ConnectionKind, string>> = {
  system: 'qemu:///system',
  session: 'qemu:///session',
  embedded: 'qemu:///embed',
  lxc: 'lxc:///',
};

/** How a domain stopped. */
export interface DomainStop {
  readonly reason: StopReason;
  /** Set if libvirt reported an error. */
  readonly error?: SandboxError;
}

/** A domain that was started. It is transient: libvirt forgets it when it stops. */
export interface Domain {
  readonly name: string;
  /** The process of libvirt beside a container; undefined: it is a machine. */
  readonly controller?: number | undefined;
  /** Resolves when libvirt has removed the domain. Never rejects. */
  readonly stopped: Promise<DomainStop>;
  /**
   * Paths of the host's ends of the domain's pseudo-terminals, by console number. Empty if the domain uses sockets
   * instead.
   *
   * @throws {SandboxError} when libvirt cannot tell
   */
  consolePaths(): Promise<readonly string[]>;
  /**
   * Process IDs of the domain's virtiofsd, or of what libvirt started in its place. Empty where libvirt's files of them
   * cannot be read.
   */
  shareServers(): Promise<readonly number[]>;
  /**
   * Whether this process sees the domain's QEMU run. It does not where libvirt's files of it cannot be read, where the
   * daemon has its process IDs from elsewhere, and where /proc hides it.
   */
  seesQemu(): Promise<boolean>;
  /**
   * Keeps the domain from running until {@link resume}. Undefined without a daemon: QEMU's monitor can.
   * @throws {SandboxError} `suspend-failed`
   */
  suspend?(): Promise<void>;
  /** @throws {SandboxError} `resume-failed` */
  resume?(): Promise<void>;
  /**
   * Ends the domain at once, and waits until nothing of it is left, including the state directory. May be called after
   * the domain has stopped.
   *
   * @param options `force` kills QEMU, or the container's processes. Use it only if the guest has synced and unmounted
   *   everything. `keepLogs` keeps libvirt's logs of the domain, which may say what went wrong.
   * @throws {SandboxError} when libvirt cannot end the domain
   */
  destroy(options: DestroyOptions): Promise<void>;
}

/**
 * The file in the state directory of a container, for whoever cleans up: libvirt leaves more of a container than of a
 * machine (init/supervisor/container.h).
 */
export const CONTAINER_FLAG = 'container';

/** What starting a domain needs besides its XML. */
export interface StartContext {
  /** The sandbox's own directory. It exists, and is removed when the domain or this process ends. */
  readonly stateDirectory: string;
  /** Another path of the same directory, for sockets: short, and ASCII for the embedded driver. */
  readonly socketDirectory: string;
  readonly name: string;
  /** A command that must have succeeded before the domain is started. It executes what is behind it. */
  readonly before?: readonly string[];
  /** What the user calls the files that the XML names: the host's path by the path in the XML. Others are called so. */
  readonly sources?: ReadonlyMap<string, string>;
  /**
   * QEMU gets no transparent huge pages: it takes less memory then. A daemon, which starts QEMUs for others too, does not
   * look at this. Default: false.
   */
  readonly smallPages?: boolean;
  /**
   * The domain goes on when a daemon of libvirt ends its connections, as it does when it is started again. The supervisor
   * ends it if this process is killed. Default: it ends with the connection.
   */
  readonly outlivesDaemon?: boolean;
  /** Descriptor of a terminal. Its settings are restored however this process ends. */
  readonly terminal?: number;
  /** Cancels the start: a QEMU that libvirt waits for is killed, so that the start fails and leaves nothing behind. */
  readonly cancelled?: AbortSignal;
}

/** An open connection to a hypervisor. */
export interface Connection {
  readonly kind: ConnectionKind;
  readonly uri: string;
  /**
   * Starts a transient domain, which ends when this process does.
   *
   * @throws {SandboxError} of stage `domain`, with libvirt's message
   */
  start(xml: string, context: StartContext): Promise<Domain>;
  /**
   * The hypervisor's capabilities as XML (https://libvirt.org/formatcaps.html). Undefined for the embedded driver,
   * which has no daemon to ask.
   *
   * @throws {SandboxError} `capabilities-unknown`
   */
  readonly capabilities?: () => Promise<string>;
  /**
   * Process ID of a domain's QEMU, also while libvirt is still starting the domain; undefined if there is none (yet).
   */
  qemuPid(context: Pick<StartContext, 'name' | 'socketDirectory'>): Promise<number | undefined>;
  /** Version of the daemon's libvirt: major * 1000000 + minor * 1000 + release; undefined without a daemon. */
  version(): Promise<number | undefined>;
  /** Closes the connection. No domain of it may be in use any more. */
  close(): Promise<void>;
}

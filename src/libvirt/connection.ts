/** What the launcher needs of libvirt, whichever way it is reached. */
import type { SandboxError } from '../util/errors.js';

/** Why a domain is no more. */
export type StopReason = 'shutdown' | 'destroyed' | 'crashed' | 'failed' | 'other';

/** The ways to reach a hypervisor. */
export type ConnectionKind = 'system' | 'session' | 'embedded' | 'lxc';

/** How a person names them. */
export const URI: Readonly<Record<ConnectionKind, string>> = {
  system: 'qemu:///system',
  session: 'qemu:///session',
  embedded: 'qemu:///embed',
  lxc: 'lxc:///',
};

/** How a domain came to its end. */
export interface DomainStop {
  readonly reason: StopReason;
  /** Where libvirt said what was wrong. */
  readonly error?: SandboxError;
}

/** A domain that was started. It is transient: once it has stopped nothing of it is left. */
export interface Domain {
  readonly name: string;
  /** Settles when libvirt has nothing left of the domain. Never rejects. */
  readonly stopped: Promise<DomainStop>;
  /**
   * Paths of the host's ends of its pseudo terminals, by the number of the console; none where the domain's devices are sockets.
   * @throws {SandboxError} when libvirt cannot tell
   */
  consolePaths(): Promise<readonly string[]>;
  /**
   * Ends the domain at once and waits until nothing of it is left, the state directory included. Harmless when it has stopped.
   * @param options `force` kills QEMU, or the container's processes, and removes libvirt's logs of the domain: only where the guest
   *   has synced and unmounted everything.
   * @throws {SandboxError} when libvirt cannot end it
   */
  destroy(options: { readonly force: boolean }): Promise<void>;
}

/** What a domain needs on the host beside its XML. */
export interface StartContext {
  /** The sandbox's own directory, which exists; it is removed when the domain has ended or this process has. */
  readonly stateDirectory: string;
  /** The same one by a path for the sockets in it: short, and ASCII for the embedded driver. */
  readonly socketDirectory: string;
  readonly name: string;
  /** A descriptor of a terminal whose settings must survive this process. */
  readonly terminal?: number;
  /** Given when a start that goes on is called off: a QEMU that keeps libvirt waiting is killed then, so that the start fails and nothing stays. */
  readonly calledOff?: AbortSignal;
}

/** An open way to a hypervisor. */
export interface Connection {
  readonly kind: ConnectionKind;
  readonly uri: string;
  /**
   * Creates and starts a transient domain that ends with this process.
   * @throws {SandboxError} in the stage `domain`, for what libvirt says
   */
  start(xml: string, context: StartContext): Promise<Domain>;
  /**
   * What the hypervisor says it is and can do, as XML; undefined where nobody but this host is to be asked.
   * https://libvirt.org/formatcaps.html
   * @throws {SandboxError} `capabilities-unknown`
   */
  readonly capabilities?: () => Promise<string>;
  /** Process ID of a domain's QEMU while libvirt is still starting it; undefined where there is none, or not yet. */
  qemuPid(context: Pick<StartContext, 'name' | 'socketDirectory'>): Promise<number | undefined>;
  /** libvirt's version as a number, as the daemon has it; undefined where there is none. */
  version(): Promise<number | undefined>;
  /** Lets go of everything; no domain may be in use any more. */
  close(): Promise<void>;
}

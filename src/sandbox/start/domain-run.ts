/**
 * One domain from its name to its end, for a launch and for the baker. Steps in order: {@link DomainRun.claim}, {@link
 * DomainRun.open}, {@link DomainRun.start}. When a step or anything behind it fails, {@link DomainRun.end} leaves
 * nothing.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection, DestroyOptions, Domain, StartContext } from '../../libvirt/connection.js';
import { mark } from '../../util/marks.js';
import { claimState, releaseState, type StateDirectory } from '../state/state-directory.js';
import { goneError, timeoutError } from './boot-errors.js';
import { Console } from './console.js';
import { Deadline } from './deadline.js';
import { goneReason } from './gone-reason.js';
import { lateDomain } from './late-domain.js';
import { openTransports, type TransportOptions, type Transports } from './transports.js';

export interface DomainRunOptions {
  readonly connection: Connection;
  /** The domain's name. */
  readonly name: string;
  /** The {@link Deadline}, in milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  /** Every byte of the guest's console. */
  readonly onConsole: ((chunk: Buffer) => void) | undefined;
}

export class DomainRun {
  readonly name: string;
  readonly console: Console;
  readonly deadline: Deadline;
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #cancelling = new AbortController();
  readonly #gone = new AbortController();
  #state: StateDirectory | undefined;
  #transports: Transports | undefined;
  #starting: Promise<Domain> | undefined;
  #created: Promise<Domain> | undefined;
  /** Rejects when the domain is not started, or has stopped. */
  #failed: Promise<never> | undefined;
  #domain: Domain | undefined;

  constructor({ connection, name, timeout, signal, onConsole }: DomainRunOptions) {
    this.name = name;
    this.console = new Console(onConsole);
    this.deadline = new Deadline(timeout, signal);
    this.#connection = connection;
    this.#timeout = timeout;
  }

  /**
   * Claims the name by making its state directory.
   * @throws {SandboxError} `name-in-use`, `name-too-long`, `state-not-writable`
   */
  claim(): StateDirectory {
    this.#state = claimState(this.name, this.#connection.kind);
    return this.#state;
  }

  /**
   * Opens the host's ends of channel and console.
   * @throws {SandboxError} `state-not-writable`
   */
  async open(options: TransportOptions): Promise<Transports> {
    this.#transports = await openTransports(this.#connection.kind, this.state, this.console, options);
    return this.#transports;
  }

  /**
   * Has libvirt start the domain; {@link domain} tells when it has.
   * @param options as {@link StartContext} has them
   */
  start(
    xml: string,
    options: Pick<StartContext, 'before' | 'sources' | 'terminal' | 'smallPages' | 'outlivesDaemon'> = {},
  ): void {
    mark('domain.create');
    const { path, sockets } = this.state;
    this.#starting = this.#connection.start(xml, {
      stateDirectory: path,
      socketDirectory: sockets,
      name: this.name,
      cancelled: this.#cancelling.signal,
      ...options,
    });
    this.#created = this.#starting.then((started) => {
      mark('domain.created');
      this.#domain = started;
      return started;
    });
    this.#failed = this.#created.then(async ({ stopped }): Promise<never> => {
      throw (await stopped).error ?? goneError(this.console, 'starting');
    });
    this.#failed.catch(() => this.#gone.abort());
  }

  /** The claimed directory. */
  get state(): StateDirectory {
    if (this.#state === undefined) throw new Error(`${this.name}: claim() comes first`);
    return this.#state;
  }

  /** The domain, when libvirt has started it. */
  get domain(): Promise<Domain> {
    if (this.#created === undefined) throw new Error(`${this.name}: start() comes first`);
    return this.#created;
  }

  /** Aborts when the domain is not started, or has stopped. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /**
   * Process ID of the domain's QEMU, also while libvirt is still starting it; undefined where there is none, or not
   * yet.
   */
  qemuPid(): Promise<number | undefined> {
    return this.#connection.qemuPid({ name: this.name, socketDirectory: this.state.sockets });
  }

  /**
   * Waits for `promise` as long as the domain is there and there is time.
   * @param reached how far the guest has come meanwhile, for an error
   * @throws {SandboxError} `boot-timeout`, `aborted`, why libvirt did not start the domain, or why it stopped
   */
  within<T>(promise: Promise<T>, reached: string): Promise<T> {
    const raced = this.#failed === undefined ? promise : Promise.race([promise, this.#failed]);
    return this.deadline.bound(raced, () => timeoutError(this.console, this.#timeout, reached));
  }

  /** The reason behind an error that only says that a connection broke; any other error as it is. */
  reasonFor(error: unknown): Promise<unknown> {
    return goneReason(error, this.console, this.#created);
  }

  /**
   * Removes all that there is: the domain, also one that libvirt is still starting, or else the state directory.
   * @param options as {@link Domain.destroy} takes them
   */
  async end(options: DestroyOptions): Promise<void> {
    // It may still be coming to be, and must not stay; the connection is in use until then.
    this.#domain ??= await lateDomain(this.#starting, this.#cancelling);
    if (this.#domain) {
      await this.#domain.destroy(options);
    } else if (this.#state) {
      // Where descriptors have run out, those that were closed are free in the next turn only.
      this.#transports?.close();
      await nextTurn();
      releaseState(this.#state);
    }
  }

  /** Stops the clock, and lets go of sockets that nobody has connected to. The domain stays as it is. */
  release(): void {
    this.deadline.clear();
    this.#transports?.close();
  }
}

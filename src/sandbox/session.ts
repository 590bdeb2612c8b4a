/** A connection to a running sandbox: one says one thing after the other to it. */
import type { GuestConfig } from '../../init/common/config.js';
import type { Channel } from '../protocol/channel.js';
import { Files } from './files/files.js';
import type { SandboxProcess } from './process/process.js';
import type { RunOptions, RunResult, SpawnOptions } from './process/types.js';
import type { PublishedPort } from './publish/published-port.js';
import type { Publisher } from './publish/publisher.js';
import type { PublishOptions } from './publish/types.js';

/** What the holder of a sandbox can do in it, and so can everyone who is connected to that holder. */
export class Session {
  readonly #channel: Channel;
  readonly #guest: GuestConfig;
  #files: Files | undefined;
  #publisher: Promise<Publisher> | undefined;

  /**
   * @param guest what the guest was told of the application; processes are started as that was
   * @internal
   */
  constructor(channel: Channel, guest: GuestConfig) {
    this.#channel = channel;
    this.#guest = guest;
  }

  /** The files inside. */
  get files(): Files {
    this.#files ??= new Files(this.#channel, this.#guest);
    return this.#files;
  }

  /**
   * Starts a process beside the application, which it ends with.
   * @param command the program and its arguments; a string goes to `sh -c`
   * @throws {SandboxError} `command-not-found`, `command-not-executable`, `cwd-unusable`, `user-unknown`,
   *   `users-unreadable`, `spawn-failed`, `process-lost`, `config-value-invalid`, `config-key-unknown`
   */
  async spawn(command: string | readonly string[], options: SpawnOptions = {}): Promise<SandboxProcess> {
    const { checkSpawn } = await import('./process/spawn-schema.js');
    checkSpawn(command, options);
    return this.#startProcess(command, options);
  }

  /**
   * Runs a command beside the application, and waits for its end.
   * @param command as of {@link spawn}
   * @throws {SandboxError} as {@link spawn}, and `output-too-large`; with `reject` also `run-failed`
   */
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { checkRun } = await import('./process/spawn-schema.js');
    checkRun(command, options);
    const { runToEnd } = await import('./process/run.js');
    const { input: _input, maxBuffer: _most, reject: _reject, ...spawning } = options;
    return runToEnd(() => this.#startProcess(command, spawning), command, options);
  }

  /**
   * Listens on this host, and carries each connection to a service in the sandbox, at that TCP port of its loopback, or
   * each client's datagrams to that UDP port. The sandbox needs no network for it. It ends with the sandbox, and does not
   * keep this process alive. 128 clients of this session's ports are carried at once; others wait.
   * @param port 1 to 65535; nobody need listen there yet
   * @throws {SandboxError} `port-taken`, `port-not-allowed`, `address-not-here`, `port-unusable`, `sandbox-ended`,
   *   `config-value-invalid`, `config-key-unknown`
   */
  async publish(port: number, options: PublishOptions = {}): Promise<PublishedPort> {
    return (await this.publisher()).publish(port, options);
  }

  /** @internal */
  protected publisher(): Promise<Publisher> {
    this.#publisher ??= this.#makePublisher();
    return this.#publisher;
  }

  async #makePublisher(): Promise<Publisher> {
    const { Publisher } = await import('./publish/publisher.js');
    return new Publisher(this.#channel, this.#guest);
  }

  async #startProcess(command: string | readonly string[], options: SpawnOptions): Promise<SandboxProcess> {
    const { startProcess } = await import('./process/process.js');
    return startProcess(this.#channel, this.#guest, command, options);
  }
}

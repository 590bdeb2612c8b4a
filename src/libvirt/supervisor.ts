/** Starts the supervisor, a process that cleans up after this one however it ends: init/host/supervisor.c. */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { hostProgram, searchPath } from '../util/programs.js';

export interface SupervisorOptions {
  /** Absolute path. The directory is removed with its content when this process or the supervisor ends. */
  readonly directory: string;
  /** A command to run. It ends when this process does. */
  readonly command?: readonly string[];
  /** Environment of the command; default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Descriptor of a terminal whose settings are to be restored. */
  readonly terminal?: number;
}

/** How a supervised command ended. */
export interface SupervisedExit {
  /** Raw wait status. */
  readonly status: number;
  /** The last 16 KiB of its stderr. */
  readonly stderr: string;
}

/** A running supervisor. */
export class Supervisor {
  /** Resolves when the command has ended. Pending if there is no command. */
  readonly commandExited: Promise<SupervisedExit>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  /** Called with the supervisor's answer to the order to kill a process. */
  #onKilled: (killed: boolean) => void = () => {};

  private constructor(child: ChildProcess, ended: Promise<void>, commandExited: Promise<SupervisedExit>) {
    this.#child = child;
    this.#ended = ended;
    this.commandExited = commandExited;
    child.stdout?.on('data', (text: string) => {
      const answer = /^ended ([01])$/m.exec(text);
      if (answer) this.#onKilled(answer[1] === '1');
    });
  }

  /** @throws {SandboxError} `supervisor-failed` */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const program = hostProgram('supervisor');
    const child = spawn(program, [options.directory, ...(options.command ?? [])], {
      stdio: ['pipe', 'pipe', 'pipe', options.terminal ?? 'ignore'],
      detached: true,
      // libvirt searches QEMU only in PATH.
      env: { ...(options.environment ?? process.env), PATH: searchPath() },
    });
    let stderr = '';
    let report = '';
    let onStarted: () => void = () => {};
    let onFailed: (error: Error) => void = () => {};
    const started = new Promise<void>((resolve, reject) => {
      onStarted = resolve;
      onFailed = reject;
    });
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const commandExited = new Promise<SupervisedExit>((resolve) => {
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        report += text;
        const exit = /^exited (\d+)$/m.exec(report);
        if (/^started$/m.test(report)) onStarted();
        // setImmediate lets the pipe be read first, so that the command's stderr is complete.
        if (exit) setImmediate(() => resolve({ status: Number(exit[1]), stderr }));
      });
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = `${stderr}${text}`.slice(-16384);
    });
    child.stdin?.on('error', () => {});
    const failed = (reason: string, cause?: unknown) =>
      onFailed(
        new SandboxError({
          stage: 'domain',
          code: 'supervisor-failed',
          message: `${program} did not start: ${reason}`,
          remedy: 'run make build, and check that the file is executable',
          cause,
        }),
      );
    child.once('error', (error) => failed(messageOf(error), error));
    child.once('close', () => failed((report + stderr).trim() || 'it ended at once'));
    await started;
    mark('supervisor.started');
    return new Supervisor(child, ended, commandExited);
  }

  /**
   * Kills a process and waits until it is gone, so that libvirt, which notices, does not find it and wait. Only one call at a time.
   *
   * @param argument An argument in its command line, whole or up to a comma, since another process may have that ID by now.
   * @returns true if it was killed, and is gone unless its parent was slow to reap it; false if it does not exist, or may not be killed
   */
  async kill(pid: number, argument: string): Promise<boolean> {
    const answered = new Promise<boolean>((resolve) => {
      this.#onKilled = resolve;
    });
    this.#child.stdin?.write(`end ${pid} ${argument}\n`);
    return Promise.race([answered, this.#ended.then(() => false)]);
  }

  /** Lets the supervisor clean up, and waits until it has. */
  async finish(): Promise<void> {
    this.#child.stdin?.end('keep\n');
    await this.#ended;
  }
}

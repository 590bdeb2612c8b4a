/** The process that cleans up after this one, however this one ends: init/host/supervisor.c. */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { hostProgram, searchPath } from '../util/programs.js';

export interface SupervisorOptions {
  /** Absolute path; removed with all in it when this process or the supervisor ends. */
  readonly directory: string;
  /** A command that is ended with this process. */
  readonly command?: readonly string[];
  /** That of the command, if not this process's own. */
  readonly environment?: NodeJS.ProcessEnv;
  /** A descriptor of a terminal whose settings must survive. */
  readonly terminal?: number;
}

/** How a supervised command ended. */
export interface SupervisedExit {
  /** Raw wait status. */
  readonly status: number;
  /** What it wrote to its stderr. */
  readonly stderr: string;
}

/** A running supervisor. */
export class Supervisor {
  /** Settles when the command has ended; never without one. */
  readonly commandExited: Promise<SupervisedExit>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  /** Told what the supervisor answers to the order to end a process. */
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
      // libvirt looks for QEMU in PATH and nowhere else.
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
        // The command's stderr is complete only when its pipe has been read, which setImmediate lets happen.
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
          remedy: 'run make build, and see that the file is executable',
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
   * Kills a process so that libvirt, which hears of it, does not find it and wait. One order at a time.
   * @param argument one of its arguments, by itself or with more behind a comma: its ID may be another's by now
   * @returns true when it was killed and, unless its parent was slow to reap it, nothing is left; false when it is not there, or not ours to kill
   */
  async killOutright(pid: number, argument: string): Promise<boolean> {
    const answered = new Promise<boolean>((resolve) => {
      this.#onKilled = resolve;
    });
    this.#child.stdin?.write(`end ${pid} ${argument}\n`);
    return Promise.race([answered, this.#ended.then(() => false)]);
  }

  /** Has everything cleaned up, and waits until that is done. */
  async finish(): Promise<void> {
    this.#child.stdin?.end('keep\n');
    await this.#ended;
  }
}

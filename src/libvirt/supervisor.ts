/** Starts the supervisor, a process that cleans up after this one however it ends: init/supervisor/main.c. */
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, SandboxError } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { hostProgram, searchPath } from '../util/programs.js';
import { deferred } from '../util/promises.js';

export interface SupervisorOptions {
  /** Absolute path. The directory is removed with its content when this process or the supervisor ends. */
  readonly directory: string;
  /** A command to run. It ends when this process does. */
  readonly command?: readonly string[];
  /** A log of the command, which is there: it is cut whenever it is too long (init/supervisor/bounded_log.h). */
  readonly log?: string;
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

/** Most characters of a command's stderr that are kept. */
const STDERR_CHARACTERS = 16_384;

/** A running supervisor. */
export class Supervisor {
  /** Resolves when the command has ended. Pending if there is no command. */
  readonly commandExited: Promise<SupervisedExit>;
  readonly #child: ChildProcess;
  readonly #started = deferred<void>();
  readonly #exited = deferred<SupervisedExit>();
  readonly #ended: Promise<void>;
  /** All that the supervisor has reported. */
  #report = '';
  /** The end of the command's stderr. */
  #stderr = '';
  /** Called with the supervisor's answer to the order to kill a process. */
  #onKilled: (killed: boolean) => void = () => {};

  private constructor(child: ChildProcess, program: string) {
    this.#child = child;
    this.commandExited = this.#exited.promise;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-STDERR_CHARACTERS);
    });
    child.stdin?.on('error', () => {});
    child.once('error', (error) => this.#started.reject(startError(program, messageOf(error), error)));
    child.once('close', () => {
      this.#started.reject(startError(program, (this.#report + this.#stderr).trim() || 'it ended at once'));
    });
  }

  /** @throws {SandboxError} `supervisor-failed` */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const program = hostProgram('supervisor');
    const log = options.log === undefined ? [] : ['--log', options.log];
    const child = spawn(program, [options.directory, ...log, ...(options.command ?? [])], {
      stdio: ['pipe', 'pipe', 'pipe', options.terminal ?? 'ignore'],
      detached: true,
      // libvirt searches QEMU only in PATH.
      env: { ...(options.environment ?? process.env), PATH: searchPath() },
    });
    const supervisor = new Supervisor(child, program);
    await supervisor.#started.promise;
    mark('supervisor.started');
    return supervisor;
  }

  /**
   * Kills a process and waits until it is gone, so that libvirt, which notices, does not find it and wait. Only one
   * call at a time.
   *
   * @param argument An argument in its command line, whole or up to a comma, since another process may have that ID by
   *   now.
   * @returns true if it was killed, and is gone unless its parent was slow to reap it; false if it does not exist, or
   *   may not be killed
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

  #receive(text: string): void {
    const seen = this.#report.lastIndexOf('\n') + 1;
    this.#report += text;
    const complete = this.#report.slice(seen, this.#report.lastIndexOf('\n') + 1);
    for (const line of complete.split('\n')) this.#line(line);
  }

  #line(line: string): void {
    const [word, value] = line.split(' ');
    if (word === 'started') this.#started.resolve();
    else if (word === 'ended') this.#onKilled(value === '1');
    else if (word === 'exited') {
      // setImmediate lets the pipe be read first, so that the command's stderr is complete.
      setImmediate(() => this.#exited.resolve({ status: Number(value), stderr: this.#stderr }));
    }
  }
}

function startError(program: string, reason: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'supervisor-failed',
    message: `${program} did not start: ${reason}`,
    remedy: 'run make build, and check that the file is executable',
    cause,
  });
}

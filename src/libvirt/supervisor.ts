/**
 * Starts the supervisor, a process that cleans up after this one however it ends: init/supervisor/main.c. Where it dies
 * first or does not answer, another one does its work. docs/life.md
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ignoreSandboxError, messageOf, SandboxError, valueOr } from '../util/errors.js';
import { mark } from '../util/marks.js';
import { hostProgram, searchPath } from '../util/programs.js';
import { deferred, settlesWithin } from '../util/promises.js';
import { REMOVED } from './removal-status.js';
import { leftError, takeOver } from './take-over.js';

export interface SupervisorOptions {
  /** Absolute path. The directory is removed with its content when this process or the supervisor ends. */
  readonly directory: string;
  /** A command to run, in `/`. It ends when this process does. */
  readonly command?: readonly string[];
  /** A log of the command, which is there: it is cut whenever it is too long (init/supervisor/bounded_log.h). */
  readonly log?: string;
  /** A file that the command opens when it has begun: until then it runs on one processor (init/supervisor/processor.h). */
  readonly begin?: string;
  /** The command is ended by SIGKILL: it has nothing to clean up but what is in the directory. */
  readonly kill?: boolean;
  /** The command, and what it starts, get no transparent huge pages. */
  readonly smallPages?: boolean;
  /** Environment of the command; default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Descriptor of a terminal whose settings are to be restored. */
  readonly terminal?: number;
}

/** How a supervised command ended. */
export type SupervisedExit =
  | {
      /** Raw wait status. */
      readonly status: number;
      /** The last 16 KiB of its stderr. */
      readonly stderr: string;
    }
  /** The supervisor ended first. The command is being ended, or is gone. */
  | { readonly lost: SandboxError };

/** Most characters of a command's stderr that are kept. */
const STDERR_CHARACTERS = 16_384;

/**
 * How long the supervisor may take, in milliseconds, before it counts as one that never answers: somebody has stopped
 * it. Each is more than it takes by its own limits: for the end these are GRACE_MS, CONTAINER_MS, REMOVALS_MS and
 * REMOVAL_MS in init/supervisor, 10 s in all.
 */
const START_MS = 10_000;
const KILL_MS = 5000;
const FINISH_MS = 11_000;

/** How long it may take to end after SIGKILL, in milliseconds. Only one that waits for a broken disk takes longer. */
const KILLED_MS = 2000;

/** How long its last words may take to be read when it has ended, in milliseconds. */
const LAST_WORDS_MS = 500;

/** A running supervisor. */
export class Supervisor {
  /** Resolves when the command has ended, or the supervisor. Pending while there is no command. */
  readonly commandExited: Promise<SupervisedExit>;
  readonly #child: ChildProcess;
  readonly #directory: string;
  /** What its file `owner` says; undefined if that was not read. It tells the claims of one name apart. */
  readonly #owner: string | undefined;
  readonly #started = deferred<void>();
  readonly #commandExited = deferred<SupervisedExit>();
  /** Resolves when the process has ended, with its exit status. */
  readonly #ended: Promise<number | null>;
  #finishing: Promise<void> | undefined;
  /** All that the supervisor has reported. */
  #report = '';
  /** The end of the command's stderr. */
  #stderr = '';
  /** The command's raw wait status, once it is known. */
  #status: number | undefined;
  /** What the supervisor could not remove: the path, and why. */
  #left: string | undefined;
  /** Called with the supervisor's answer to the order to kill a process. */
  #onKilled: (killed: boolean) => void = () => {};

  private constructor(child: ChildProcess, program: string, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#owner = ownerOf(directory);
    this.commandExited = this.#commandExited.promise;
    // Not `close`: its command has the same stderr, and may outlive it.
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
      child.once('error', () => resolve(null));
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#receive(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-STDERR_CHARACTERS);
    });
    child.stdin?.on('error', () => {});
    child.once('error', (error) => this.#started.reject(startError(program, messageOf(error), error)));
    child.once('exit', () => void this.#settleAll(program));
  }

  /**
   * Starts a supervisor. If it does not start, what it has started ends.
   *
   * @throws {SandboxError} `supervisor-failed`
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    const program = hostProgram('supervisor');
    const log = options.log === undefined ? [] : ['--log', options.log];
    const begin = options.begin === undefined ? [] : ['--begin', options.begin];
    const kill = options.kill === true ? ['--kill'] : [];
    const smallPages = options.smallPages === true ? ['--small-pages'] : [];
    const words = [...log, ...begin, ...kill, ...smallPages, ...(options.command ?? [])];
    const child = spawn(program, [options.directory, ...words], {
      stdio: ['pipe', 'pipe', 'pipe', options.terminal ?? 'ignore'],
      // It may live as long as a detached sandbox, and must not hold the file system that the caller is in.
      cwd: '/',
      detached: true,
      // libvirt searches QEMU only in PATH.
      env: { ...(options.environment ?? process.env), PATH: searchPath() },
    });
    const supervisor = new Supervisor(child, program, options.directory);
    const started = supervisor.#started.promise;
    if (!(await settlesWithin(started, START_MS))) {
      supervisor.#started.reject(startError(program, `it did not answer within ${START_MS / 1000} s`));
    }
    try {
      await started;
    } catch (error) {
      // Without a process there is nothing that it could have started. Why it did not start counts more than what is left.
      if (child.pid !== undefined) await ignoreSandboxError(supervisor.#replace());
      throw error;
    }
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
   *   may not be killed, or the supervisor does not answer
   */
  async kill(pid: number, argument: string): Promise<boolean> {
    const answered = new Promise<boolean>((resolve) => {
      this.#onKilled = resolve;
    });
    this.#child.stdin?.write(`end ${pid} ${argument}\n`);
    const answer = Promise.race([answered, this.#ended.then(() => false)]);
    if (await settlesWithin(answer, KILL_MS)) return answer;
    this.#child.kill('SIGKILL');
    return false;
  }

  /**
   * Has the supervisor wait at its end for a process that libvirt is about to start, and kill it, until
   * {@link killAtLast} names it, or 0 since there is none.
   * @param order `expect-parent` if its children have to be killed too
   * @param argument as of {@link kill}, without blanks
   * @param pidFile where libvirt writes its process ID
   * @param other what that names now, which is another process; undefined: nothing
   */
  expect(order: 'expect' | 'expect-parent', argument: string, pidFile: string, other: number | undefined): void {
    this.#child.stdin?.write(`${order} ${other ?? 0} ${argument} ${pidFile}\n`);
  }

  /**
   * Has the supervisor kill a process at its end, if that still runs then.
   * @param pid 0: there is none
   * @param argument as of {@link kill}
   */
  killAtLast(pid: number, argument: string): void {
    this.#child.stdin?.write(`last ${pid} ${argument}\n`);
  }

  /**
   * Lets the supervisor clean up, and waits until it has. Another one does it if this one is gone, or does not answer.
   * Further calls wait for the first.
   *
   * @throws {SandboxError} `clean-up-failed`, `clean-up-unfinished`
   */
  finish(): Promise<void> {
    this.#finishing ??= this.#finish();
    return this.#finishing;
  }

  async #finish(): Promise<void> {
    this.#child.stdin?.end('keep\n');
    const inTime = await settlesWithin(this.#ended, FINISH_MS);
    if (inTime && (await this.#ended) === REMOVED) return;
    if (inTime) await this.#lastWords();
    if (inTime && this.#left !== undefined) throw leftError(this.#left, await this.#ended);
    await this.#replace();
  }

  /** Has another supervisor do the work of this one, which is killed if it still runs. */
  async #replace(): Promise<void> {
    // It is a child that was not reaped, so the process ID is its own. What it runs gets SIGTERM then.
    this.#child.kill('SIGKILL');
    // If it does not end, the other one says so.
    if (!(await settlesWithin(this.#ended, KILLED_MS))) this.#child.unref();
    this.#hangUp();
    // The name may be another sandbox's of this process by now. Then this one's directory is gone.
    const owner = ownerOf(this.#directory);
    if (owner !== undefined && this.#owner !== undefined && owner !== this.#owner) return;
    await takeOver(this.#directory);
    mark('supervisor.replaced');
  }

  /** Its command may hold the other ends. */
  #hangUp(): void {
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }

  /**
   * Waits until all is read that the command, which has ended, has written. The first turn ends after what the kernel
   * reported together with the status; stderr may have come since. The second one asks the kernel again.
   */
  async #stderrRead(): Promise<void> {
    await nextTurn();
    await nextTurn();
  }

  /** Waits until all is read that the supervisor, which has ended, has reported. */
  async #lastWords(): Promise<void> {
    const { stdout } = this.#child;
    // Only the supervisor had its stdout.
    if (stdout && !stdout.readableEnded && !stdout.destroyed) {
      await settlesWithin(new Promise((resolve) => stdout.once('close', resolve)), LAST_WORDS_MS);
    }
  }

  /** Settles what waits for a supervisor that has ended. */
  async #settleAll(program: string): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    await this.#lastWords();
    const how = signalCode === null ? `it ended with status ${exitCode}` : `${signalCode} ended it`;
    this.#started.reject(startError(program, (this.#report + this.#stderr).trim() || how));
    // A status that was reported may still wait for the command's stderr.
    if (this.#status === undefined) this.#commandExited.resolve({ lost: lostError(how) });
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
    else if (word === 'left') this.#left = line.slice('left '.length);
    else if (word === 'exited') {
      const status = Number(value);
      this.#status = status;
      void this.#stderrRead().then(() => this.#commandExited.resolve({ status, stderr: this.#stderr }));
    }
  }
}

function ownerOf(directory: string): string | undefined {
  return valueOr(() => readFileSync(join(directory, 'owner'), 'utf8'), undefined);
}

/** @param how it ended */
function lostError(how: string): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'supervisor-lost',
    message: `the supervisor, without which a sandbox does not run, is gone: ${how}`,
    remedy: 'find out who kills processes here (dmesg tells if memory ran out), and start it again',
  });
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

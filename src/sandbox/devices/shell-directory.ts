/**
 * The directory of a running sandbox's shells, opened. Everything in it is reached through the descriptor, so that its
 * owner cannot put another directory in its place, or a link.
 */
import { closeSync, constants, lstatSync, openSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { openBelow } from '../state/open-below.js';
import type { RunningSandbox } from '../state/running.js';
import { shellPaths } from './shell.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
/** From <sys/file.h>. */
const LOCK_EX = 2;
const LOCK_NB = 4;

export class ShellDirectory {
  readonly #fd: number;
  #isOpen = true;
  /** The sessions' socket, and the one of a breakpoint. */
  readonly sessions: string;
  readonly breakpoint: string;

  private constructor(fd: number) {
    this.#fd = fd;
    ({ sessions: this.sessions, breakpoint: this.breakpoint } = shellPaths(`/proc/self/fd/${fd}`, '.'));
  }

  /** @throws {SandboxError} `no-shell`, `sandbox-not-found`, `attach-unsafe` */
  static open(sandbox: RunningSandbox): ShellDirectory {
    const { name, stateDirectory, user } = sandbox;
    try {
      if (user === undefined)
        return new ShellDirectory(openSync(shellPaths(stateDirectory).directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      return new ShellDirectory(openBelow(user.uid, user.home, [...user.below, 'shell']));
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) throw user && isMissing(stateDirectory) ? notFound(name) : noShell(name);
      if (user && isSystemError(error)) throw unsafe(name, stateDirectory, error);
      throw error;
    }
  }

  /**
   * Allows one session at a time: QEMU would let a second one wait forever. Nobody else may open the directory, so
   * nobody else can take the lock. It goes away with this process.
   * @throws {SandboxError} `attached-already`
   */
  async lock(name: string): Promise<void> {
    const { default: koffi } = await import('koffi');
    const flock = koffi.load('libc.so.6').func('int flock(int fd, int operation)');
    if (flock(this.#fd, LOCK_EX | LOCK_NB) === 0) return;
    if (koffi.errno() !== osConstants.errno.EWOULDBLOCK)
      throw new Error(`the shells of ${name} cannot be locked: errno ${koffi.errno()}`);
    throw new SandboxError({
      stage: 'application',
      code: 'attached-already',
      message: `another session is attached to the sandbox ${name}`,
      remedy: 'detach there with Ctrl+] or leave that shell, and attach again',
    });
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}

function isMissing(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined;
}

function noShell(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'no-shell',
    message: `the sandbox ${name} was started without a shell to attach to`,
    remedy: 'start it with --shell',
  });
}

function notFound(name: string): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'sandbox-not-found',
    message: `no sandbox called ${JSON.stringify(name)} runs`,
    remedy: 'ask that user for its name',
  });
}

function unsafe(name: string, path: string, cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'application',
    code: 'attach-unsafe',
    message: `the sandbox ${name} is not attached to: ${path} is not that user's own directory (${messageOf(cause)})`,
    remedy: 'ask that user what is there; a link may lead anywhere',
    cause,
  });
}

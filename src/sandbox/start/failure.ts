/** What went wrong in a guest, as an error for a person. */
import { constants } from 'node:os';
import { isChdir } from '../../../init/common/application.js';
import type { GuestConfig } from '../../../init/common/config.js';
import type { StepError } from '../../../init/common/drive.js';
import type { OperationError } from '../../protocol/operations.js';
import { SandboxError } from '../../util/errors.js';
import { mountFailure } from '../setup/mount-failure.js';
import type { Console } from './console.js';

const DEBUG_REMEDY = 'set LIBVIRT_SANDBOX_INIT_DEBUG=1 to see every step';

/** The guest is gone, and nobody asked it to go. */
export function goneError(console: Console, running: boolean): SandboxError {
  const panic = console.panic;
  const tail = console.tail();
  const where = running ? 'while the application ran' : 'before the application was started';
  return new SandboxError({
    stage: running ? 'application' : 'boot',
    code: panic === undefined ? 'guest-gone' : 'guest-panic',
    message:
      panic === undefined
        ? `the guest ended ${where}, without its exit status`
        : `the guest's kernel panicked ${where}: ${panic}`,
    remedy: wantsMemory(panic, running, tail) ? `give it more memory with --memory, or ${DEBUG_REMEDY}` : DEBUG_REMEDY,
    consoleTail: tail,
  });
}

/** A kernel that cannot even set itself up for want of memory ends without a word. */
function wantsMemory(panic: string | undefined, running: boolean, tail: readonly string[]): boolean {
  return panic === undefined ? !running && tail.length === 0 : /memory|oom/i.test(panic);
}

/** The guest has not come as far as the application in time. */
export function timeoutError(console: Console, milliseconds: number, reached: string): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'boot-timeout',
    message: `the guest did not answer within ${milliseconds / 1000} s; it came as far as: ${reached}`,
    remedy: `allow more with --boot-timeout, or ${DEBUG_REMEDY}`,
    consoleTail: console.tail(),
  });
}

/** Includes were being copied on the host, and that stood still. */
export function copyTimeoutError(milliseconds: number): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'boot-timeout',
    message: `copying includes stood still for ${milliseconds / 1000} s`,
    remedy: 'see that what is included can be read and its mount can be written to, or allow more with --boot-timeout',
  });
}

/** A step of the common init that failed. */
export function stepError(error: StepError, console: Console, guest?: GuestConfig): SandboxError {
  const { code, message, remedy } = (guest && mountFailure(error, guest)) ?? {
    code: 'init-step-failed',
    message: `step ${error.step} failed: ${error.message}`,
    remedy:
      error.step === 'root'
        ? 'see that the root has the directories /dev and /proc, and that --root is what you meant'
        : DEBUG_REMEDY,
  };
  return new SandboxError({ stage: 'init', code, message, remedy, consoleTail: console.tail(), cause: error });
}

/** The application could not be started: 127 when it is not there, 126 when it cannot be executed, as shells have it. */
export function spawnError(
  error: OperationError,
  { command: [command = ''], cwd, identity }: Pick<GuestConfig, 'command' | 'cwd' | 'identity'>,
): SandboxError {
  if (isChdir(error)) {
    return new SandboxError({
      stage: 'init',
      code: 'cwd-unusable',
      message: `the working directory ${cwd ?? '/'} cannot be entered inside: ${error.message}`,
      remedy: 'give --cwd a directory that exists inside and that the user may enter',
      cause: error,
    });
  }
  const notFound = error.errno === constants.errno.ENOENT;
  const exec = error.message.startsWith('execve(');
  // PATH is for names alone.
  const relative = command.includes('/') && !command.startsWith('/');
  const directory = cwd ?? `${identity.home}, or / where that cannot be entered`;
  const elsewhere = `name it by its whole path, or give --cwd: it is looked for from the working directory inside (${directory})`;
  if (exec && notFound) {
    return new SandboxError({
      stage: 'application',
      code: 'command-not-found',
      message: `${command}: not found inside the sandbox`,
      remedy: relative
        ? elsewhere
        : 'name a program that is in the root or in its PATH (a script needs its interpreter there too)',
      exitCode: 127,
      cause: error,
    });
  }
  return new SandboxError({
    stage: exec ? 'application' : 'init',
    code: exec ? 'command-not-executable' : 'spawn-failed',
    message: `${command}: cannot be started: ${error.message}`,
    remedy: exec
      ? `see that it is an executable file that the user inside may run${relative ? `, and ${elsewhere}` : ''}`
      : DEBUG_REMEDY,
    exitCode: exec ? 126 : 125,
    cause: error,
  });
}

/** The caller did not want it any more. */
export function abortError(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'boot',
    code: 'aborted',
    message: 'the start was called off',
    remedy: 'start it again',
    cause,
  });
}
